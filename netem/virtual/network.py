"""Servers and connections of a virtual loop: asyncio's own calls, answered in memory.

Addresses are what they are called: a host is any text, nothing is looked up. A loop is a network
of its own.
"""

import asyncio
import errno
import socket
from collections.abc import Callable, Sequence
from typing import Any

from netem.virtual.errors import RealWorld
from netem.virtual.outside import NoRealWorld
from netem.virtual.streams import MemoryTransport, connect_pair

Factory = Callable[[], asyncio.BaseProtocol]
Address = tuple[str, int] | str
"""Host and port, or a path."""

_FIRST_PORT = 49152
_EVERY_HOST = ("0.0.0.0", "::", "")


class ListeningEnd:
    """What `Server.sockets` shows: where it listens."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self.family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET

    def getsockname(self) -> Address:
        return self._address


class MemoryServer(asyncio.AbstractServer):
    """Accepts until it is closed; connections that it made go on."""

    def __init__(self, network: "MemoryLoop", addresses: Sequence[Address]) -> None:
        self._network = network
        self._addresses = list(addresses)
        self._closed: asyncio.Event | None = None

    @property
    def sockets(self) -> tuple[ListeningEnd, ...]:
        return tuple(map(ListeningEnd, self._addresses))

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._network

    def is_serving(self) -> bool:
        return bool(self._addresses)

    async def start_serving(self) -> None:
        """It has been since it was made."""

    async def serve_forever(self) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.close()

    def close(self) -> None:
        for address in self._addresses:
            self._network.listeners.pop(address, None)
        self._addresses = []

    async def wait_closed(self) -> None:
        """As in Python 3.11: connections are not waited for."""


class MemoryLoop(NoRealWorld, asyncio.SelectorEventLoop):
    """The part of a virtual loop that makes servers and connections."""

    def __init__(self) -> None:
        super().__init__()
        self.listeners: dict[Address, Factory] = {}
        self._next_port = _FIRST_PORT

    async def create_server(  # type: ignore[override]
        self,
        protocol_factory: Factory,
        host: str | Sequence[str] | None = None,
        port: int | None = None,
        *,
        sock: object = None,
        ssl: object = None,
        **options: Any,  # noqa: ANN401
    ) -> MemoryServer:
        """`options` (backlog, reuse_address, ...) say how a kernel should listen: there is none."""
        _nothing_real("create_server", sock, ssl)
        hosts = [host] if isinstance(host, str) else list(host or ["0.0.0.0"])
        chosen = port or self._free_port()
        return self._listen(protocol_factory, [(each, chosen) for each in hosts])

    async def create_unix_server(  # type: ignore[override]
        self,
        protocol_factory: Factory,
        path: str | None = None,
        *,
        sock: object = None,
        ssl: object = None,
        **options: Any,  # noqa: ANN401
    ) -> MemoryServer:
        _nothing_real("create_unix_server", sock, ssl)
        return self._listen(protocol_factory, [str(path)])

    async def create_connection(  # type: ignore[override]
        self,
        protocol_factory: Factory,
        host: str | None = None,
        port: int | None = None,
        *,
        sock: object = None,
        ssl: object = None,
        **options: Any,  # noqa: ANN401
    ) -> tuple[MemoryTransport, asyncio.BaseProtocol]:
        """Raises ConnectionRefusedError where nobody listens."""
        _nothing_real("create_connection", sock, ssl)
        address = (str(host), int(port or 0))
        wildcards = [(each, address[1]) for each in _EVERY_HOST]
        found = next((each for each in (address, *wildcards) if each in self.listeners), None)
        return await self._connect(protocol_factory, address, found)

    async def create_unix_connection(  # type: ignore[override]
        self,
        protocol_factory: Factory,
        path: str | None = None,
        *,
        sock: object = None,
        ssl: object = None,
        **options: Any,  # noqa: ANN401
    ) -> tuple[MemoryTransport, asyncio.BaseProtocol]:
        _nothing_real("create_unix_connection", sock, ssl)
        address = str(path)
        return await self._connect(
            protocol_factory, address, address if address in self.listeners else None
        )

    async def getaddrinfo(
        self,
        host: object,
        port: object,
        **options: Any,  # noqa: ANN401
    ) -> list[tuple[Any, ...]]:
        """A name is its own address."""
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))]

    def _listen(self, factory: Factory, addresses: Sequence[Address]) -> MemoryServer:
        for address in addresses:
            if address in self.listeners:
                raise OSError(errno.EADDRINUSE, f"address already in use: {address}")
        self.listeners.update(dict.fromkeys(addresses, factory))
        return MemoryServer(self, addresses)

    async def _connect(
        self, factory: Factory, address: Address, listener: Address | None
    ) -> tuple[MemoryTransport, asyncio.BaseProtocol]:
        if listener is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"nobody listens at {address}")
        own: Address = "" if isinstance(address, str) else ("127.0.0.1", self._free_port())
        protocol, far = factory(), self.listeners[listener]()
        loop = asyncio.get_running_loop()
        transport, _ = connect_pair(loop, (own, address), (protocol, far))
        made = loop.create_future()
        loop.call_soon(made.set_result, None)  # after connection_made of both
        await made
        return transport, protocol

    def _free_port(self) -> int:
        self._next_port += 1
        return self._next_port - 1


def _nothing_real(call: str, sock: object, ssl: object) -> None:
    if sock is not None:
        raise RealWorld(f"loop.{call}: a real socket does not follow a virtual clock")
    if ssl:
        raise RealWorld(f"loop.{call}: connections in memory have no TLS")
