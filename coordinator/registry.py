"""Who has joined: one `Client` per admitted worker, found by id, identity or credential."""

import hmac
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

from aiohttp import web

from protocol import codec
from protocol.messages import Message

ABSENT = "its connection is gone"


@dataclass(slots=True)
class Client:
    """A party of the aggregation and the connection to the worker that plays it, if there is one.

    `secret` never appears in a repr, a log or a result."""

    id: int
    identity: bytes
    device: str
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    socket: web.WebSocketResponse | None = None
    ready: bool = False
    was_ready: bool = False
    examples: int = 0

    @property
    def credential(self) -> str:
        return f"{self.id}.{self.secret}"

    @property
    def present(self) -> bool:
        return self.socket is not None and not self.socket.closed

    async def send(self, message: Message) -> bool:
        """False if the client is not there to hear it."""
        if self.socket is None or self.socket.closed:
            return False
        try:
            await self.socket.send_bytes(codec.encode(message))
        except (ConnectionError, RuntimeError):  # aiohttp: closing transport, closed writer
            return False
        return True


class FleetFull(Exception):
    """No place is left for this worker, or somebody else has it."""


class Registry:
    def __init__(self, size: int) -> None:
        self.size = size
        self._clients: dict[int, Client] = {}
        self._by_identity: dict[bytes, Client] = {}
        self._ready: set[int] = set()

    def __iter__(self) -> Iterator[Client]:
        return iter([self._clients[i] for i in sorted(self._clients)])

    def __getitem__(self, client: int) -> Client:
        return self._clients[client]

    @property
    def ready(self) -> int:
        """How many have said that they may be planned."""
        return len(self._ready)

    def set_ready(self, client: Client, ready: bool) -> None:
        client.ready = ready
        if ready:
            client.was_ready = True
            self._ready.add(client.id)
        else:
            self._ready.discard(client.id)

    def available(self) -> list[int]:
        """Ids of the clients that can be planned now, ascending."""
        return [client.id for client in self if client.present and client.ready]

    def missing(self) -> list[int]:
        available = set(self.available())
        return [i for i in range(self.size) if i not in available]

    def admit(self, identity: bytes, device: str, member: int | None) -> tuple[Client, bool]:
        """The client for this identity and whether it was here before.

        Raises FleetFull if its place is somebody else's or none is left."""
        known = self._by_identity.get(identity)  # public: no secret to leak by timing
        if known is not None:
            return known, True
        place = self._free_place() if member is None else member
        if place is None or not 0 <= place < self.size:
            raise FleetFull(f"the fleet has {self.size} places and this one is not among them")
        if place in self._clients:
            raise FleetFull(f"place {place} of the fleet is taken by another worker")
        client = Client(place, identity, device)
        self._clients[place] = self._by_identity[identity] = client
        return client, False

    def release(self, client: Client) -> None:
        """Free the place of a worker that left before it was ready: it has played nothing."""
        if self._clients.get(client.id) is client:
            del self._clients[client.id], self._by_identity[client.identity]

    def authenticate(self, credential: str) -> Client | None:
        """The client with this credential; compared in constant time."""
        place, _, secret = credential.partition(".")
        client = self._clients.get(int(place)) if place.isdecimal() and len(place) < 10 else None
        given = secret.encode(errors="surrogateescape")  # headers may hold bytes that are no text
        if client is None or not hmac.compare_digest(client.secret.encode(), given):
            return None
        return client

    def _free_place(self) -> int | None:
        return next((i for i in range(self.size) if i not in self._clients), None)
