"""The socket's side of a shaped connection, which hands everything to the transport that the
application has (`netem.shaper`)."""

import asyncio
import socket
from typing import Generic, TypeVar

from netem.channel import Phantom
from netem.device import DeviceLinks
from netem.shaper import ShapedTransport

P = TypeVar("P", bound=asyncio.Protocol)

_NOTSENT_LOWAT_BYTES = 16384
"""With more than this unsent the kernel asks for no more: what waits shall wait in our queue."""


class SocketSide(asyncio.Protocol, Generic[P]):
    """The socket's side of a shaped connection: the protocol that the real transport drives."""

    def __init__(self, protocol: P, links: DeviceLinks) -> None:
        self.protocol = protocol
        self._links = links
        self.transport: ShapedTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("only streams can be shaped")
        hide_nothing(transport.get_extra_info("socket"))
        self.transport = ShapedTransport(transport, self.protocol, self._links)
        self.protocol.connection_made(self.transport)

    def data_received(self, data: bytes) -> None:
        self.transport.socket_received(data)

    def phantom_received(self, phantom: Phantom) -> None:
        self.transport.socket_received(phantom)

    def eof_received(self) -> bool:
        return self.transport.socket_ended()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport.socket_lost(exc)

    def pause_writing(self) -> None:
        self.transport.socket_full()

    def resume_writing(self) -> None:
        self.transport.socket_has_room()


def hide_nothing(sock: socket.socket | None) -> None:
    """Keep the kernel from buffering what the links should hold back."""
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _NOTSENT_LOWAT_BYTES)
