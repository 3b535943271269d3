"""Verify's measurements of each kind of link of a fleet by itself."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median, pstdev
from typing import TypeVar

import aiohttp

from commands.emulation import Site, links_of
from commands.verification.far_end import (
    PING_BYTES,
    Arrivals,
    FarEnd,
    download,
    round_trips,
    upload,
)
from commands.verification.prediction import affordable_bytes, ping_s, transfer_s
from netem.access import Access
from netem.fidelity import FidelityMeter
from netem.link import LinkParameters

STEADY_FROM = 0.5
"""A sender has found the rate by the time that half of its bytes have come."""
_LEAST_ROUND_TRIPS = 16
"""A transfer takes at least so many, or slow start would still be what is measured."""

T = TypeVar("T")
NewMetered = Callable[[Site, FidelityMeter], Access]


Transfer = Callable[[aiohttp.ClientSession, FarEnd, str, int], Awaitable[Arrivals]]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured: seconds of each transfer at full rate, exchanges, sizes (bytes)."""

    seconds: float
    pings: int
    sizes: tuple[int, ...]
    round_s: float
    """What a round's transfers may take at most, of the slowest device."""
    lossy_bytes: int
    seeds: int
    """How many transfers are made where packets get lost."""
    window_s: float
    windows: int
    """How long, and how often, a trace is looked at."""


FULL = Effort(1.5, 25, (100_000, 1_000_000), 8.0, 1_000_000, 5, 10.0, 2)
QUICK = Effort(0.4, 8, (100_000,), 1.0, 300_000, 3, 2.0, 3)


@dataclass(frozen=True, slots=True)
class Pair:
    """Asked against delivered, of one thing of one link."""

    what: str
    asked: float
    delivered: float | None

    @property
    def error(self) -> float | None:
        """Relative."""
        if self.delivered is None or not self.asked:
            return None
        return self.delivered / self.asked - 1


@dataclass(frozen=True, slots=True)
class LinkResult:
    """One kind of link: its rates (bytes/s), its round trip, jitter and transfers (s)."""

    network: str
    rates: tuple[Pair, ...]
    rtt: Pair
    jitter: Pair | None
    loss: float
    transfers: tuple[Pair, ...]


def size_of(link: LinkParameters, rtt_s: float, effort: Effort) -> int:
    """Payload that fills the link long enough."""
    return max(30_000, int(link.bytes_per_s * max(effort.seconds, _LEAST_ROUND_TRIPS * rtt_s)))


async def plain_round_trip_s(far: FarEnd, count: int) -> float:
    """Of the host itself: over loopback, without any link."""
    async with aiohttp.ClientSession() as session:
        return median(await round_trips(session, far, count, 0.005))


async def one_link(
    site: Site, new: NewMetered, far: FarEnd, effort: Effort, host_s: float
) -> LinkResult:
    """Everything of one link by itself; `host_s` is what a round trip takes without it."""
    pair, network = links_of(site, 1.0, 0.0), site.network
    rates = []
    for what, transfer, link in (("up", upload, pair.up), ("down", download, pair.down)):
        count = size_of(link, network.rtt_s, effort)
        if network.transport.loss:  # what it would take at full rate is not what it takes
            count = affordable_bytes(pair, what == "up", count, 2 * effort.seconds)

        async def moved(
            session: aiohttp.ClientSession, transfer: Transfer = transfer, count: int = count
        ) -> Arrivals:
            return await transfer(session, far, network.name, count)

        arrivals, _ = await over(site, new, moved)
        rates.append(Pair(what, link.bytes_per_s, arrivals.wire_bytes_per_s(STEADY_FROM)))
    wander = network.jitter
    pause_s = 0.01 if wander is None else wander.correlation_s

    async def pinged(session: aiohttp.ClientSession) -> list[float]:
        return await round_trips(session, far, effort.pings, pause_s)

    trips, _ = await over(site, new, pinged)
    rtt = Pair("round trip", ping_s(pair, PING_BYTES) + host_s, median(trips))
    jitter = None
    if wander is not None:
        jitter = Pair("jitter", math.sqrt(2) * wander.spread_s, pstdev(trips))
    transfers = (await transfers_of(site, new, far, effort)).transfers
    return LinkResult(network.name, tuple(rates), rtt, jitter, network.transport.loss, transfers)


async def transfers_of(site: Site, new: NewMetered, far: FarEnd, effort: Effort) -> LinkResult:
    """The transfers alone."""
    transfers = [
        await _timed(site, new, far, up, size) for up in (True, False) for size in effort.sizes
    ]
    known = tuple(t for t in transfers if t is not None)
    rtt = Pair("round trip", site.network.rtt_s, None)
    return LinkResult(site.network.name, (), rtt, None, site.network.transport.loss, known)


async def _timed(site: Site, new: NewMetered, far: FarEnd, up: bool, size: int) -> Pair | None:
    """One transfer over a fresh connection of a fresh link, against the link's own arithmetic."""
    asked_s = transfer_s(links_of(site, 1.0, 0.0), up, size)
    if asked_s is None:
        return None

    async def moved(session: aiohttp.ClientSession) -> float:
        start_s = asyncio.get_running_loop().time()
        arrivals = await (upload if up else download)(session, far, site.network.name, size)
        return arrivals.times_s[-1] - start_s

    taken_s, _ = await over(site, new, moved)
    return Pair(f"{size / 1e6:g} MB {'up' if up else 'down'}", asked_s, taken_s)


async def over(
    site: Site, new: NewMetered, do: Callable[[aiohttp.ClientSession], Awaitable[T]]
) -> tuple[T, FidelityMeter]:
    """In a session of its own over a link of its own."""
    meter = FidelityMeter()
    access = new(site, meter)
    try:
        async with aiohttp.ClientSession(connector=access.connector()) as session:
            return await do(session), meter
    finally:
        access.close()
