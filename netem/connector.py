"""aiohttp over a device's links: hand `ShapedConnector(links)` to a ClientSession.

Every connection of the session, HTTP and WebSocket, then goes through the one pair of links. A
TCP connection costs one round trip before it is made, an https one a second for the handshake of
TLS 1.3. With https shaping sits above TLS: the plaintext is paced and counted, records and
certificates are not. A proxy for https URLs is not supported.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, TypeVar

import aiohttp
from aiohttp.client_proto import ResponseHandler

from netem.device import DeviceLinks
from netem.socket_side import SocketSide, hide_nothing
from netem.virtual.loop import VirtualLoop

P = TypeVar("P", bound=asyncio.Protocol)

RECEIVE_BUFFER_BYTES = 65536
"""SO_RCVBUF, set before connecting so that the window offered stays small: the kernel must not
swallow a download that the link still holds back."""


KEEPALIVE_S = 3600.0
"""How long an idle connection is kept: longer than any fit, or a device that trains for more than
aiohttp's 15 s would connect anew for its upload. aiohttp measures this by the host's clock, so that
under a virtual one nothing shorter would do either; its server gives up after 3630 s."""


class ShapedConnector(aiohttp.TCPConnector):
    """A TCPConnector whose connections cross the device's links.

    `_wrap_create_connection` is private to aiohttp; tests/netem/test_netem_connector.py fails
    clearly should it change.
    """

    def __init__(self, links: DeviceLinks, **settings: Any) -> None:  # noqa: ANN401
        settings.setdefault("keepalive_timeout", KEEPALIVE_S)
        super().__init__(socket_factory=_small_socket, **settings)
        self._links = links

    async def _wrap_create_connection(  # type: ignore[override]
        self,
        factory: Callable[[], ResponseHandler],
        **settings: Any,  # noqa: ANN401
    ) -> tuple[asyncio.Transport, ResponseHandler]:
        try:
            for _ in range(2 if settings.get("ssl") else 1):
                await self._links.round_trip()
        except ConnectionAbortedError as error:
            key = settings["req"].connection_key
            raise aiohttp.ClientConnectorError(key, error) from error
        side: SocketSide[ResponseHandler] = await self._socket_side(factory, settings)
        return side.transport, side.protocol

    async def _socket_side(
        self, factory: Callable[[], ResponseHandler], settings: dict[str, Any]
    ) -> SocketSide[ResponseHandler]:
        near = SocketSide(factory(), self._links)
        if isinstance(self._loop, VirtualLoop):
            key = settings["req"].connection_key
            try:
                await self._loop.create_connection(lambda: near, key.host, key.port)
            except OSError as error:
                raise aiohttp.ClientConnectorError(key, error) from error
        else:
            await super()._wrap_create_connection(lambda: near, **settings)
        return near


async def connect(
    links: DeviceLinks, factory: Callable[[], P], host: str, port: int
) -> tuple[asyncio.Transport, P]:
    """The same for a protocol of one's own: a shaped TCP connection."""
    await links.round_trip()
    loop = asyncio.get_running_loop()
    if isinstance(loop, VirtualLoop):
        near = SocketSide(factory(), links)
        await loop.create_connection(lambda: near, host, port)
        return near.transport, near.protocol
    infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    sock = _small_socket(infos[0])
    try:
        sock.setblocking(False)
        await loop.sock_connect(sock, infos[0][4])
        protocol = factory()
        _, side = await loop.create_connection(lambda: SocketSide(protocol, links), sock=sock)
    except BaseException:
        sock.close()
        raise
    return side.transport, protocol


def _small_socket(info: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol = info[:3]
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    hide_nothing(sock)
    return sock
