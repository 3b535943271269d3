"""What the emulation itself adds to a message's way, measured, so that delays can be cut by it.

On a machine that was asleep a wake-up costs 0.1 to 0.3 ms, and a message wakes the emulator once
more in each direction than it would without. Only delays are corrected; rates need none.
"""

import asyncio
from dataclasses import dataclass, replace
from statistics import median

from netem.connector import connect
from netem.device import DeviceLinks, LinkPair
from netem.link import LinkParameters, wire_bytes
from netem.timer import Timer, sleep_until

_MESSAGE = bytes(100)
_LINK = LinkParameters(1e8, 0.01)  # a delay like a real one, so that the processor falls asleep
_IDLE_S = 0.01


@dataclass(frozen=True, slots=True)
class AddedLatency:
    """Median latency beyond what was asked, one way each, in seconds."""

    up_s: float
    down_s: float

    def taken_off(self, pair: LinkPair) -> LinkPair:
        """Links whose delays are shorter by this much, as far as they have so much."""
        return LinkPair(_shortened(pair.up, self.up_s), _shortened(pair.down, self.down_s))


async def measure_added_latency(timer: Timer, exchanges: int = 30) -> AddedLatency:
    """Compare messages over shaped and over plain loopback; takes about 50 ms an exchange."""
    loop = asyncio.get_running_loop()
    echo = _Echo(timer)
    server = await loop.create_server(lambda: echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    links = DeviceLinks(LinkPair(_LINK, _LINK), timer)
    try:
        plain, ping = await loop.create_connection(lambda: _Ping(timer), "127.0.0.1", port)
        try:
            plain_s = await _one_way(plain, ping, echo, exchanges)
        finally:
            plain.abort()
        shaped, ping = await connect(links, lambda: _Ping(timer), "127.0.0.1", port)
        shaped_s = await _one_way(shaped, ping, echo, exchanges)
    finally:
        links.close()
        echo.hang_up()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0)  # lets the aborted connections close their sockets
    asked_s = _LINK.delay_s + wire_bytes(len(_MESSAGE)) / _LINK.bytes_per_s
    up_s, down_s = (max(0.0, s - p - asked_s) for s, p in zip(shaped_s, plain_s, strict=True))
    return AddedLatency(up_s, down_s)


async def _one_way(
    transport: asyncio.Transport, ping: "_Ping", echo: "_Echo", exchanges: int
) -> tuple[float, float]:
    """Median seconds up and down."""
    up, down = [], []
    for _ in range(exchanges):
        await sleep_until(ping.timer, ping.timer.now() + _IDLE_S)
        start_s = ping.timer.now()
        ping.back = asyncio.get_running_loop().create_future()
        transport.write(_MESSAGE)
        end_s = await ping.back
        up.append(echo.arrived_s - start_s)
        down.append(end_s - echo.arrived_s)
    return median(up), median(down)


def _shortened(link: LinkParameters, by_s: float) -> LinkParameters:
    return replace(link, delay_s=max(0.0, link.delay_s - by_s))


class _Echo(asyncio.Protocol):
    """Notes when something came, and sends it back. Serves one connection after the other."""

    def __init__(self, timer: Timer) -> None:
        self._timer = timer
        self._transports: list[asyncio.Transport] = []
        self.arrived_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transports.append(transport)

    def data_received(self, data: bytes) -> None:
        self.arrived_s = self._timer.now()
        self._transports[-1].write(data)

    def hang_up(self) -> None:
        for transport in self._transports:
            transport.abort()


class _Ping(asyncio.Protocol):
    def __init__(self, timer: Timer) -> None:
        self.timer = timer
        self.back: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        if not self.back.done():
            self.back.set_result(self.timer.now())

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.back.done():
            self.back.set_exception(exc or ConnectionAbortedError("connection lost"))
