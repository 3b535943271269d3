"""Verify's measurements of each kind of link of a fleet by itself."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from statistics import median, pstdev
from typing import TypeVar

import aiohttp

from commands.emulation import Site, links_of
from commands.verification.bounds import (
    RATE,
    jitter_off,
    rate_bound,
    rate_off,
    transfer_off,
    trip_off,
)
from commands.verification.far_end import (
    PING_BYTES,
    Arrivals,
    FarEnd,
    download,
    round_trips,
    upload,
)
from commands.verification.figure import Pair
from commands.verification.prediction import affordable_bytes, ping_s, transfer_s
from commands.verification.repeating import Repeats
from netem.access import Access
from netem.fidelity import FidelityMeter
from netem.link import LinkParameters

STEADY_FROM = 0.5
"""A sender has found the rate by the time that half of its bytes have come."""
_LEAST_ROUND_TRIPS = 16
"""A transfer takes at least so many, or slow start would still be what is measured."""
_FOR_SPREAD = 25
"""Exchanges: of fewer the spread says too little for its bound, however short a check is to be."""

T = TypeVar("T")
NewMetered = Callable[[Site, FidelityMeter], Access]


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
    repeats_s: float
    """What measuring single figures again may take in all; twice that of what is at once."""


FULL = Effort(1.5, 25, (100_000, 1_000_000), 8.0, 1_000_000, 5, 10.0, 2, 40.0)
QUICK = Effort(0.4, 8, (100_000,), 1.0, 300_000, 3, 2.0, 3, 5.0)


@dataclass(frozen=True, slots=True)
class Bench:
    """What single figures are measured with."""

    new: NewMetered
    far: FarEnd
    effort: Effort
    repeats: Repeats
    transfer_bound: float
    """Relative, of a transfer against the link's own arithmetic."""


@dataclass(frozen=True, slots=True)
class LinkResult:
    """One kind of link: its rates (bytes/s), its round trip, jitter and transfers (s)."""

    network: str
    rates: tuple[Pair, ...]
    rtt: Pair
    jitter: Pair | None
    loss: float
    transfers: tuple[Pair, ...]
    rate_bounds: tuple[float, ...] = ()
    """Relative; of each rate, where it is not the usual one."""

    @property
    def bounded_rates(self) -> list[tuple[Pair, float]]:
        return list(zip(self.rates, self.rate_bounds or (RATE,) * len(self.rates), strict=True))

    @property
    def figures(self) -> Iterator[Pair]:
        yield from self.rates
        yield self.rtt if self.jitter is None else self.jitter
        yield from self.transfers

    @property
    def steady(self) -> bool:
        """Where delays wander or packets get lost, what one transfer takes is chance's."""
        return self.jitter is None and self.loss == 0


def size_of(link: LinkParameters, rtt_s: float, effort: Effort) -> int:
    """Payload that fills the link long enough."""
    return max(30_000, int(link.bytes_per_s * max(effort.seconds, _LEAST_ROUND_TRIPS * rtt_s)))


async def plain_round_trip_s(far: FarEnd, count: int) -> float:
    """Of the host itself: over loopback, without any link."""
    async with aiohttp.ClientSession() as session:
        return median(await round_trips(session, far, count, 0.005))


async def one_link(site: Site, bench: Bench, host_s: float) -> LinkResult:
    """Everything of one link by itself; `host_s` is what a round trip takes without it."""
    network = site.network
    rates, bounds = zip(*[await _rate(site, bench, up) for up in (True, False)], strict=True)
    rtt, jitter = await _trips(site, bench, host_s)

    def off(transfer: Pair) -> float:
        return transfer_off(transfer, bench.transfer_bound) if is_steady(site) else 0.0

    transfers = await transfers_of(site, bench, off)
    of_rates, loss = tuple(rates), network.transport.loss
    return LinkResult(network.name, of_rates, rtt, jitter, loss, transfers, tuple(bounds))


def is_steady(site: Site) -> bool:
    return site.network.jitter is None and not site.network.transport.loss


async def _rate(site: Site, bench: Bench, up: bool) -> tuple[Pair, float]:
    """With its bound."""
    pair, network = links_of(site, 1.0, 0.0), site.network
    link, lossy = pair.up if up else pair.down, bool(network.transport.loss)
    count = size_of(link, network.rtt_s, bench.effort)
    if lossy:  # what it would take at full rate is not what it takes
        count = affordable_bytes(pair, up, count, 2 * bench.effort.seconds)

    async def moved(session: aiohttp.ClientSession) -> Arrivals:
        return await (upload if up else download)(session, bench.far, network.name, count)

    async def measured() -> Pair:
        arrivals, _ = await over(site, bench.new, moved)
        delivered = arrivals.wire_bytes_per_s(STEADY_FROM)
        return Pair("up" if up else "down", link.bytes_per_s, delivered)

    spread_s = 0.0 if network.jitter is None else network.jitter.spread_s
    bound = rate_bound(spread_s, (1 - STEADY_FROM) * count / link.bytes_per_s)

    def off(rate: Pair) -> float:
        # With loss a sender does not fill the link: that is no error of the emulation.
        return 0.0 if lossy else rate_off(rate, bound)

    return await bench.repeats.pair(measured, off), bound


async def _trips(site: Site, bench: Bench, host_s: float) -> tuple[Pair, Pair | None]:
    """Round trip and jitter, of the same messages; judged is the one or the other."""
    pair, wander = links_of(site, 1.0, 0.0), site.network.jitter
    pause_s = 0.01 if wander is None else wander.correlation_s
    count = bench.effort.pings if wander is None else max(_FOR_SPREAD, bench.effort.pings)

    async def pinged(session: aiohttp.ClientSession) -> list[float]:
        return await round_trips(session, bench.far, count, pause_s)

    async def measured() -> tuple[Pair, Pair | None]:
        trips, _ = await over(site, bench.new, pinged)
        rtt = Pair("round trip", ping_s(pair, PING_BYTES) + host_s, median(trips))
        if wander is None:
            return rtt, None
        return rtt, Pair("jitter", math.sqrt(2) * wander.spread_s, pstdev(trips))

    def off(found: tuple[Pair, Pair | None]) -> float:
        rtt, jitter = found
        return trip_off(rtt) if jitter is None else jitter_off(jitter)

    (rtt, jitter), tried = await bench.repeats.judged(measured, off)
    rtt = replace(rtt, tried=tuple(one.delivered for one, _ in tried))
    spreads = tuple(one.delivered for _, one in tried if one is not None)
    return rtt, jitter and replace(jitter, tried=spreads)


async def transfers_of(site: Site, bench: Bench, off: Callable[[Pair], float]) -> tuple[Pair, ...]:
    """Of each size, both ways."""
    sizes = bench.effort.sizes
    transfers = [await _timed(site, bench, (up, n), off) for up in (True, False) for n in sizes]
    return tuple(t for t in transfers if t is not None)


async def _timed(
    site: Site, bench: Bench, what: tuple[bool, int], off: Callable[[Pair], float]
) -> Pair | None:
    """One transfer over a fresh connection of a fresh link, against the link's own arithmetic."""
    up, size = what
    asked_s = transfer_s(links_of(site, 1.0, 0.0), up, size)
    if asked_s is None:
        return None
    name = f"{size / 1e6:g} MB {'up' if up else 'down'}"

    async def moved(session: aiohttp.ClientSession) -> float:
        start_s = asyncio.get_running_loop().time()
        move = upload if up else download
        arrivals = await move(session, bench.far, site.network.name, size)
        return arrivals.times_s[-1] - start_s

    async def measured() -> Pair:
        return Pair(name, asked_s, (await over(site, bench.new, moved))[0])

    return await bench.repeats.pair(measured, off)


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
