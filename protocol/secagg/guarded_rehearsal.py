"""A whole secure sum against an active coordinator in one process: `rehearsal` with guards."""

from collections.abc import Callable, Mapping
from enum import IntEnum

from protocol.identity import Identity
from protocol.secagg.active import SignedClient, SignedServer
from protocol.secagg.aggregate import Aggregate
from protocol.secagg.choosing import ChoosingClient, ChoosingServer, choose
from protocol.secagg.chosen_degree import Foes
from protocol.secagg.chosen_graph import ChosenGraph
from protocol.secagg.client import ClientMachine
from protocol.secagg.guarded import GuardedClient
from protocol.secagg.keys import Randomness
from protocol.secagg.pinned import Pinned
from protocol.secagg.rehearsal import Rehearsal, over_the_wire
from protocol.secagg.ring import Words
from protocol.secagg.terms import Terms


class LostGuarded(IntEnum):
    """The first message that never arrives; the first three as in `rehearsal.Lost`."""

    KEYS = 1
    SHARES = 2
    VECTOR = 3
    CONSISTENCY = 4
    UNMASK = 5


class GuardedRehearsal(Rehearsal):
    """On the complete graph, or where clients choose: as the terms say."""

    def __init__(
        self,
        terms: Terms,
        randomness: Callable[[int], Randomness],
        foes: Foes,
        lost: Mapping[int, int] | None = None,
    ) -> None:
        """Identities are drawn first, from each client's source."""
        super().__init__(terms, randomness, lost)
        self.identities = {c: Identity(randomness(c)(32)) for c in terms.graph.clients}
        public = {client: identity.public for client, identity in self.identities.items()}
        self.pinned = Pinned(terms, public, foes.corrupt, foes.crowd)
        self.guard: SignedServer | ChoosingServer
        guarded: dict[int, GuardedClient] = {}
        if isinstance(terms.graph, ChosenGraph):
            for client, identity in self.identities.items():
                source = randomness(client)
                own = choose(terms, client, source)
                self.clients[client] = ClientMachine(client, own, source)
                guarded[client] = ChoosingClient(self.clients[client], identity, self.pinned)
            self.guard = ChoosingServer(self.server, self.pinned)
        else:
            for client, identity in self.identities.items():
                guarded[client] = SignedClient(self.clients[client], identity, self.pinned)
            self.guard = SignedServer(self.server, self.pinned)
        self.parties = self.guarded = guarded
        self.front = self.guard

    def unmask(self, total: Aggregate) -> Words:
        self.sign()
        for client in self._present(self.answering, LostGuarded.UNMASK):
            signatures = over_the_wire(self.guard.signatures_for(client))
            message = self._hear(client, self.guarded[client].unmask(signatures))
            self.server.receive_unmask(client, message)
        total.remove(self.server.close_unmasking())
        return total.words

    def sign(self) -> None:
        for client in self._present(self.guarded, LostGuarded.CONSISTENCY):
            survivors = over_the_wire(self.server.survivors_for(client))
            self.take_word(client, self._hear(client, self.guarded[client].sign(survivors)))
        self.answering = dict.fromkeys(sorted(self.guard.close_consistency()))

    def take_word(self, client: int, message: object) -> None:
        """What a client signed of the survivors, to whom it may concern."""
        take = (
            self.guard.receive_attestations
            if isinstance(self.guard, ChoosingServer)
            else self.guard.receive_consistency
        )
        take(client, message)  # type: ignore[arg-type]
