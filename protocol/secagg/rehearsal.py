"""A whole secure sum in one process: the double of a fleet, for tests, benchmarks and examples.

Every message takes the way over the wire format. Clients can be lost before each of their four
messages. It knows no network and no clock.
"""

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import TypeVar, cast

from protocol.codec import decode, encode
from protocol.messages import Message
from protocol.secagg.aggregate import Aggregate
from protocol.secagg.client import ClientMachine
from protocol.secagg.guarded import GuardedClient, GuardedServer
from protocol.secagg.keys import Randomness
from protocol.secagg.packing import pack
from protocol.secagg.ring import Words
from protocol.secagg.server import ServerMachine
from protocol.secagg.terms import Terms

M = TypeVar("M", bound=Message)


class Lost(IntEnum):
    """The first message that never arrives."""

    KEYS = 1
    SHARES = 2
    VECTOR = 3
    UNMASK = 4


class Rehearsal:
    """Call `keys`, `shares`, `vectors` and `unmask` in this order, or `run` for all of it."""

    def __init__(
        self,
        terms: Terms,
        randomness: Callable[[int], Randomness],
        lost: Mapping[int, int] | None = None,
    ) -> None:
        """`randomness(client)` is that client's source."""
        self.server = ServerMachine(terms)
        self.front: ServerMachine | GuardedServer = self.server
        """Whom keys are handed to, and who says what became of them."""
        self.clients = {c: ClientMachine(c, terms, randomness(c)) for c in terms.graph.clients}
        self.parties: Mapping[int, ClientMachine | GuardedClient] = self.clients
        """What stands around the machines, if anything does."""
        self.lost: dict[int, int] = dict(lost or {})
        self.notes: dict[int, Mapping[int, bytes]] = {}
        """What each client learnt of its peers."""
        self.heard: list[tuple[int, Message | bytes]] = []
        """All that the coordinator was handed, in order: messages and packed vectors, by sender."""

    def run(self, vectors: Mapping[int, Words], ring_bits: int) -> Words:
        """The sum of the survivors' vectors. The vectors are masked in place."""
        self.keys()
        self.shares()
        total = self.vectors(vectors, ring_bits)
        return self.unmask(total)

    def keys(self) -> None:
        for client in self._present(self.clients, Lost.KEYS):
            message = self._hear(client, self.parties[client].advertise())
            self.front.receive_keys(client, message)
        self.front.close_keys()

    def shares(self, note: bytes = b"") -> None:
        for client in self._present(self.clients, Lost.SHARES):
            machine = self.parties[client]
            machine.receive_roster(over_the_wire(self.front.roster_for(client)))
            message = self._hear(client, machine.share(note))
            self.server.receive_shares(client, message)
        self.server.close_shares()

    def vectors(self, vectors: Mapping[int, Words], ring_bits: int) -> Aggregate:
        """Masks and adds up; a client lost here has received its delivery all the same."""
        total = Aggregate(next(iter(vectors.values())).size, ring_bits)
        for client in self._present(self.clients, Lost.SHARES):
            machine = self.parties[client]
            delivery = over_the_wire(self.server.delivery_for(client))
            self.notes[client] = machine.receive_delivery(delivery)
            machine.mask(vectors[client], 0)
        for client in self._present(self.clients, Lost.VECTOR):
            packed = pack(vectors[client], ring_bits)
            self.heard.append((client, bytes(packed)))
            total.add(packed)
            self.server.vector_added(client)
        self.server.close_vectors()
        return total

    def unmask(self, total: Aggregate) -> Words:
        for client in self._present(self.clients, Lost.UNMASK):
            survivors = over_the_wire(self.server.survivors_for(client))
            message = self._hear(client, self.clients[client].unmask(survivors))
            self.server.receive_unmask(client, message)
        total.remove(self.server.close_unmasking())
        return total.words

    def _present(self, clients: Mapping[int, object], message: int) -> list[int]:
        return [client for client in clients if self.lost.get(client, 9) > message]

    def _hear(self, client: int, message: M) -> M:
        self.heard.append((client, message))
        return over_the_wire(message)


def over_the_wire(message: M) -> M:
    """The message as the other side gets it; the codec keeps its kind."""
    return cast(M, decode(encode(message)))
