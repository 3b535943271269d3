"""Against an active coordinator, on the complete graph: Bonawitz et al.'s signed variant.

Each survivor signs the list of survivors that it was told; a client reveals shares only once at
least threshold-many survivors have signed the list that it signed itself. Keys are signed as
`protocol.secagg.guarded` says, which also calls all that is below.
"""

from collections.abc import Mapping, Set

from protocol.errors import TooFewSurvivors
from protocol.messages import Consistency, Survivors
from protocol.secagg import cost
from protocol.secagg.guarded import GuardedClient, GuardedServer
from protocol.secagg.pinned import Pinned
from protocol.secagg.server import ServerMachine
from protocol.work import Tally


class SignedClient(GuardedClient):
    """A client that signs one list of survivors, and believes the list that others signed too."""

    def sign_cost(self, survivors: Survivors) -> Tally:
        return cost.signatures(made=1, checked=0)

    def sign(self, survivors: Survivors) -> Consistency:
        """Sign the list, if it is one that could be answered. One list only."""
        self._check_list(survivors)
        self._signed = survivors
        self.tally = self.sign_cost(survivors)
        signature = self._identity.sign(self._statement(survivors))
        return Consistency(survivors.round, survivors.attempt, signature)

    def _witnesses(self, signed: Survivors) -> Set[int]:
        return set(signed.clients)

    def _statement(self, signed: Survivors) -> bytes:
        return self._pinned.survivors_statement({c: self._roster[c] for c in signed.clients})


class SignedServer(GuardedServer):
    """Collects everyone's signature of the one list."""

    def __init__(self, machine: ServerMachine, pinned: Pinned) -> None:
        super().__init__(machine, pinned)
        self._lists: dict[int, bytes] = {}

    def receive_consistency(self, client: int, message: Consistency) -> None:
        self._check_due(client, message, self._lists.keys())
        keys = {survivor: self._keys[survivor] for survivor in self.machine.survivors}
        statement = self._pinned.survivors_statement(keys)
        self._pinned.verify(client, statement, message.signature)
        self._lists[client] = message.signature

    def _answering(self) -> frozenset[int]:
        if len(self._lists) < self.machine.terms.threshold:
            raise TooFewSurvivors(
                f"{len(self._lists)} clients signed the list of survivors;"
                f" {self.machine.terms.threshold} are needed"
            )
        return frozenset(self._lists)

    def _shown(self, client: int) -> Mapping[int, bytes]:
        return self._lists
