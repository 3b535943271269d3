"""aiohttp from inside a device's namespace: every connection goes to the hub, whatever its URL
says, since nothing else can be reached from there."""

import ctypes
import socket
import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.abc import ResolveResult

from netem.packet.addresses import HUB

if TYPE_CHECKING:
    from aiohttp.tracing import Trace


class HubConnector(aiohttp.TCPConnector):
    """Names are left as they are for TLS to check; only where they lead is replaced.

    `_resolve_host` is private to aiohttp; tests/netem/test_packet_access.py fails clearly should
    it change.
    """

    def __init__(
        self,
        new_socket: Callable[[], socket.socket],
        port: int,
        **settings: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(socket_factory=lambda info: new_socket(), **settings)
        self._hub_port = port

    async def _resolve_host(
        self, host: str, port: int, traces: "Sequence[Trace] | None" = None
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=HUB,
                port=self._hub_port,
                family=socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=0,
            )
        ]


def disconnect(connected: socket.socket) -> None:
    """Reset a connection at once and forget what it had still to send: connect(2) to AF_UNSPEC,
    which Python has no words for. Whoever reads from it hears of a reset."""
    if connected.fileno() >= 0:
        nowhere = struct.pack("H14x", socket.AF_UNSPEC)
        ctypes.CDLL(None).connect(connected.fileno(), nowhere, len(nowhere))
