"""A fleet's packet links, ready for use: a hub that leads to the coordinator, and an access for
each device."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from weakref import WeakSet

import aiohttp

from netem.fidelity import FidelityMeter
from netem.packet.connector import HubConnector, disconnect
from netem.packet.errors import LinksLost
from netem.packet.net import PacketNet
from netem.packet.relay import relayed


class PacketAccess:
    """One device's access: see `netem.access.Access`."""

    def __init__(self, net: PacketNet, device: int, meter: FidelityMeter) -> None:
        self.net = net
        self._device = device
        self._meter = meter
        self._sockets: WeakSet[socket.socket] = WeakSet()

    @property
    def present(self) -> None:
        """The kernel's TCP goes by the host's clock."""

    def bytes_passed(self) -> tuple[int, int]:
        return self.net.gauges.passed(self._device)

    def late_s(self) -> float:
        return self.net.gauges.late_s(self._device)

    def connector(self, **settings: Any) -> aiohttp.BaseConnector:  # noqa: ANN401
        return HubConnector(self._socket, self.net.port(self._device), **settings)

    def _socket(self) -> socket.socket:
        made = self.net.socket(self._device)
        self._sockets.add(made)
        return made

    def restart(self) -> None:
        self._meter.restart()
        self.net.restart(self._device)

    def hang_up(self) -> None:
        """Abort every connection, as a device does that is switched off: nothing that waits to be
        sent is, and the far end is told by a reset that crosses the link."""
        for each in list(self._sockets):
            disconnect(each)

    def close(self) -> None:
        with suppress(LinksLost):  # nobody left to ask: whoever opened the net hears of it
            if measured := self.net.fidelity(self._device):
                self._meter.add_links(measured)


@asynccontextmanager
async def open_net(net: PacketNet, host: str, port: int) -> AsyncIterator[None]:
    """Lead the net's hub to host and port while the context lasts, then close the net.

    Raises LinksLost, and cancels what goes on inside, if the process that plays the links dies.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    lost = False

    def died() -> None:
        nonlocal lost
        lost = True
        loop.remove_reader(net.fileno())
        if task is not None:
            task.cancel()

    loop.add_reader(net.fileno(), died)
    try:
        async with relayed(net.listeners, host, port):
            yield
    except asyncio.CancelledError:
        if lost and task is not None and not task.uncancel():
            raise LinksLost("the process that plays the packet links died") from None
        raise
    finally:
        loop.remove_reader(net.fileno())
        net.close()
