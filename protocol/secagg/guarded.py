"""What both variants against an active coordinator have in common: the guards around the machines.

What a semi-honest coordinator is believed, it has to prove to these. Public keys are signed by
their clients' identities, which every client knows from elsewhere, so none can be replaced or
invented; and a client reveals shares only once enough survivors have signed something that no two
groups can be told differently: what, and whose word counts, is the variants'. The machines of the
semi-honest protocol do the rest unchanged.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Set
from dataclasses import replace

from protocol.errors import LocalError, ProtocolError
from protocol.identity import Identity
from protocol.messages import (
    Attestations,
    Consistency,
    Delivery,
    PublicKeys,
    Roster,
    SealedShares,
    Signatures,
    Survivors,
    Unmask,
)
from protocol.secagg import cost
from protocol.secagg.client import ClientMachine
from protocol.secagg.graph import Graph
from protocol.secagg.pinned import Keys, Pinned
from protocol.secagg.ring import Words
from protocol.secagg.server import Phase, ServerMachine
from protocol.secagg.terms import Terms
from protocol.work import Tally, total


class GuardedClient(ABC):
    """A client that believes the coordinator nothing. It has the machine to itself: shares leave
    it by way of `sign` and `unmask` of the classes below and no other."""

    def __init__(self, machine: ClientMachine, identity: Identity, pinned: Pinned) -> None:
        self.client = machine.client
        self.tally: Tally = {}
        self._machine = machine
        self._identity = identity
        self._pinned = pinned
        self._signed: Survivors | None = None
        self._roster: Mapping[int, Keys] = {}

    @property
    def terms(self) -> Terms:
        return self._machine.terms

    def advertise(self) -> PublicKeys:
        message = self._machine.advertise()
        keys, chosen = (message.sealing, message.masking), self._chosen()
        statement = self._pinned.keys_statement(self.client, keys, chosen)
        self.tally = total(self._machine.tally, cost.signatures(made=1, checked=0))
        return replace(message, signature=self._identity.sign(statement), chosen=chosen)

    def receive_roster(self, roster: Roster) -> None:
        """Every key on the roster is its client's own, signed for this sum and these terms."""
        if roster.signatures.keys() != roster.keys.keys():
            raise ProtocolError("roster: keys and signatures are not of the same clients")
        graph = self._graph_of(roster)
        for client, keys in roster.keys.items():
            statement = self._pinned.keys_statement(client, keys, roster.chosen.get(client, ()))
            self._pinned.verify(client, statement, roster.signatures[client])
        self._machine.receive_roster(roster, graph)
        self._roster = roster.keys
        checked = cost.signatures(made=0, checked=len(roster.keys))
        self.tally = total(self._machine.tally, checked)

    def share_cost(self) -> Tally:
        return self._machine.share_cost()

    def share(self, note: bytes) -> SealedShares:
        shares = self._machine.share(note)
        self.tally = self._machine.tally
        return shares

    def receive_delivery(self, delivery: Delivery) -> Mapping[int, bytes]:
        notes = self._machine.receive_delivery(delivery)
        self.tally = self._machine.tally
        return notes

    def mask_cost(self, words: Words) -> Tally:
        return self._machine.mask_cost(words)

    def mask(self, words: Words, offset: int) -> None:
        if self._signed is not None:
            raise LocalError("the vector is whole: who survived has been signed")
        self._machine.mask(words, offset)
        self.tally = self._machine.tally

    def unmask(self, message: Signatures) -> Unmask:
        """Reveal shares, now that enough survivors have signed what `_statement` says."""
        if self._signed is None:
            raise ProtocolError("signatures: no list of survivors has been signed")
        sum_ = self.terms.sum
        if (message.round, message.attempt) != (sum_.round, sum_.attempt):
            raise ProtocolError("signatures: of another round or attempt")
        if not message.signatures.keys() <= self._witnesses(self._signed):
            raise ProtocolError("signatures: not all are of survivors whose word counts")
        if len(message.signatures) < self.terms.threshold:
            raise ProtocolError(
                f"signatures: {len(message.signatures)} are fewer than the threshold"
                f" {self.terms.threshold}"
            )
        statement = self._statement(self._signed)
        for client, signature in message.signatures.items():
            self._pinned.verify(client, statement, signature)
        answer = self._machine.unmask(self._signed)
        self.tally = cost.signatures(made=0, checked=len(message.signatures))
        return answer

    def _check_list(self, survivors: Survivors) -> None:
        """One list only is signed, and one that could be answered: two would let the coordinator
        tell clients different ones."""
        if self._signed is not None:
            raise ProtocolError("survivors: a list has been signed already")
        self._machine.check_survivors(survivors)

    @abstractmethod
    def sign_cost(self, survivors: Survivors) -> Tally:
        """What `sign` takes."""

    @abstractmethod
    def sign(self, survivors: Survivors) -> Consistency | Attestations:
        """Sign what the coordinator says of who survived, if it could be answered. Once."""

    def _chosen(self) -> tuple[int, ...]:
        """Whom this client chose, where clients choose."""
        return ()

    def _graph_of(self, roster: Roster) -> Graph | None:
        """What the roster adds to the graph, where clients choose."""
        return None

    @abstractmethod
    def _witnesses(self, signed: Survivors) -> Set[int]:
        """Whose signature counts before anything is revealed."""

    @abstractmethod
    def _statement(self, signed: Survivors) -> bytes:
        """What they must have signed."""


class GuardedServer(ABC):
    """An honest coordinator's part: collect signatures, check them early so that one bad client
    does not stop the others, hand them on. Use `machine` for everything else."""

    def __init__(self, machine: ServerMachine, pinned: Pinned) -> None:
        self.machine = machine
        self._pinned = pinned
        self._keys: dict[int, Keys] = {}
        self._key_signatures: dict[int, bytes] = {}
        self._closed = False

    def receive_keys(self, client: int, message: PublicKeys) -> None:
        keys = (message.sealing, message.masking)
        statement = self._pinned.keys_statement(client, keys, self._chosen(client, message))
        self._pinned.verify(client, statement, message.signature)
        self.machine.receive_keys(client, message)
        self._keys[client] = keys
        self._key_signatures[client] = message.signature

    def close_keys(self) -> frozenset[int]:
        """End the phase; return who takes part from here on."""
        return self.machine.close_keys()

    def roster_for(self, client: int) -> Roster:
        roster = self.machine.roster_for(client)
        return replace(roster, signatures={c: self._key_signatures[c] for c in roster.keys})

    def close_consistency(self) -> frozenset[int]:
        """End the signing; return who is now asked for shares."""
        if self.machine.phase is not Phase.UNMASKING or self._closed:
            raise LocalError("consistency cannot be closed now")
        answering = self._answering()
        self._closed = True
        return answering

    def signatures_for(self, client: int) -> Signatures:
        if not self._closed or client not in self._answering():
            raise LocalError(f"there are no signatures for client {client}")
        sum_ = self.machine.terms.sum
        return Signatures(sum_.round, sum_.attempt, dict(sorted(self._shown(client).items())))

    def _check_due(self, client: int, message: Consistency | Attestations, seen: Set[int]) -> None:
        name = type(message).__name__
        if self.machine.phase is not Phase.UNMASKING or self._closed:
            raise ProtocolError(f"{name} of client {client} is not due")
        sum_ = self.machine.terms.sum
        if (message.round, message.attempt) != (sum_.round, sum_.attempt):
            raise ProtocolError(f"{name} of client {client} is of another round or attempt")
        if client not in self.machine.survivors or client in seen:
            raise ProtocolError(f"client {client} has no list to sign, or signed it before")

    def _chosen(self, client: int, message: PublicKeys) -> tuple[int, ...]:
        """Whom the client chose, where clients choose; raises ProtocolError."""
        return ()

    @abstractmethod
    def _answering(self) -> frozenset[int]:
        """Who can be convinced, and so will reveal shares. Raises TooFewSurvivors."""

    @abstractmethod
    def _shown(self, client: int) -> Mapping[int, bytes]:
        """The signatures that convince the client, by signer."""
