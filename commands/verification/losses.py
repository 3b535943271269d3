"""Verify's check of random loss: how many segments or packets were lost of how many, and what the
loss makes of transfers."""

import asyncio
import math
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean, stdev

import aiohttp

from commands.emulation import Site, links_of
from commands.nets import Net, opened
from commands.verification.bounds import transfer_off
from commands.verification.datagrams import through
from commands.verification.far_end import download, upload
from commands.verification.figure import Pair
from commands.verification.measuring import Bench
from commands.verification.prediction import affordable_bytes, transfer_s
from netem.access import StreamAccess
from netem.fidelity import FidelityMeter
from netem.link import FRAMING_BYTES, LinkParameters

DEVIATES = 3.29
"""Of a normal distribution: 99.9 % of chance's outcomes lie within."""
PAIRED = 0.1
"""Relative: of what transfers take that lose the same segments as those they are compared with; a
little sooner or later decides in between whether a timer expires."""
UNPAIRED = 0.2
"""Relative, and three standard errors: of what they take with the kernel's TCP, whose losses are
others."""
_SEEDS_FOR_MEAN = 20
_EXPECTED_LOST, _MOST_COUNTED = 30, 8000
_PER_S, _RATE_SHARE = 4000, 0.6
_SMALL_BYTES = 100
_SETTLED_S = 0.3


@dataclass(frozen=True, slots=True)
class LossResult:
    """One direction of one kind of link; `sent` and `lost` in segments or datagrams."""

    network: str
    what: str
    asked: float
    sent: int
    lost: int
    transfers: Pair | None
    """Seconds of `count` in all; None where they take too long to be awaited."""
    count: int
    allowed: float
    """Relative, of those seconds."""

    @property
    def share(self) -> float | None:
        return self.lost / self.sent if self.sent else None

    @property
    def off(self) -> float:
        """How far off the transfers are, as a multiple of the bound."""
        if self.transfers is None:
            return 0.0
        return transfer_off(self.transfers, self.allowed, self.count)

    @property
    def by_chance(self) -> bool:
        """Whether so many may well be lost if each is with the share asked for."""
        low, high = interval(self.lost, self.sent)
        return low <= self.asked <= high


def interval(count: int, of: int) -> tuple[float, float]:
    """Wilson's score interval of a share (J. Am. Stat. Assoc. 22, 1927)."""
    if not of:
        return 0.0, 1.0
    square = DEVIATES**2
    middle = (count + square / 2) / (of + square)
    reach = DEVIATES / (of + square) * math.sqrt(count * (of - count) / of + square / 4)
    return max(0.0, middle - reach), min(1.0, middle + reach)


async def losses(sites: Sequence[Site], bench: Bench, net: str) -> list[LossResult]:
    """Of those whose networks lose packets, one of each kind."""
    lossy = [site for site in sites if site.network.transport.loss]
    ways = [(site, up) for site in lossy for up in (True, False)]
    if net == "stream":
        return [await _settled(partial(_of_streams, *way, bench), bench) for way in ways]
    counted = await _counted(lossy, net)
    return [
        await _settled(partial(_of_kernels, site, up, bench, counted[site.network.name, up]), bench)
        for site, up in ways
    ]


async def _settled(measure: Callable[[], Awaitable[LossResult]], bench: Bench) -> LossResult:
    """By what the loss makes of transfers; what was lost is chance's, whatever the host does."""
    found, tried = await bench.repeats.judged(measure, lambda loss: loss.off)
    seconds = tuple(one.transfers.delivered for one in tried if one.transfers is not None)
    return replace(found, transfers=found.transfers and replace(found.transfers, tried=seconds))


async def _of_streams(site: Site, up: bool, bench: Bench) -> LossResult:
    """Transfers over links of their own, all at once, and the same in arithmetic: equal seeds lose
    equal segments."""
    effort = bench.effort
    size = affordable_bytes(links_of(site, 1.0, 0.0), up, effort.lossy_bytes, 2 * effort.seconds)
    seeded = [replace(site, seed=site.seed + number) for number in range(effort.seeds)]
    known = [transfer_s(links_of(one, 1.0, 0.0), up, size) for one in seeded]
    asked_s = [taken_s for taken_s in known if taken_s is not None]
    work = (_moved(one, bench, (up, size, number)) for number, one in enumerate(seeded))
    moved = await asyncio.gather(*work) if len(asked_s) == len(known) else []
    lost, sent = (sum(each[1][i] for each in moved) for i in (0, 1))
    what = f"{len(moved)} × {size / 1e6:.2g} MB"
    pair = Pair(what, sum(asked_s), sum(each[0] for each in moved)) if moved else None
    network, direction = site.network, "up" if up else "down"
    asked = network.transport.loss
    return LossResult(network.name, direction, asked, sent, lost, pair, len(moved), PAIRED)


async def _moved(
    site: Site, bench: Bench, what: tuple[bool, int, int]
) -> tuple[float, tuple[int, int]]:
    """Seconds of one transfer, and segments lost of how many in its direction."""
    up, size, number = what
    access = bench.new(site, FidelityMeter())
    name = f"{site.network.name} {number} {up}"
    try:
        async with aiohttp.ClientSession(connector=access.connector()) as session:
            start_s = asyncio.get_running_loop().time()
            arrivals = await (upload if up else download)(session, bench.far, name, size)
            taken_s = arrivals.times_s[-1] - start_s
        counts = access.losses() if isinstance(access, StreamAccess) else ((0, 0), (0, 0))
        return taken_s, counts[0 if up else 1]
    finally:
        access.close()


async def _of_kernels(site: Site, up: bool, bench: Bench, counted: tuple[int, int]) -> LossResult:
    """The kernel's TCP, one transfer after the other, against the model's mean over many seeds."""
    effort = bench.effort
    size = affordable_bytes(links_of(site, 1.0, 0.0), up, effort.lossy_bytes, 2 * effort.seconds)
    seeded = (replace(site, seed=site.seed + number) for number in range(_SEEDS_FOR_MEAN))
    known = [transfer_s(links_of(one, 1.0, 0.0), up, size) for one in seeded]
    asked_s = [taken_s for taken_s in known if taken_s is not None]
    pair, allowed = None, UNPAIRED
    if len(asked_s) == len(known):
        taken_s = [
            (await _moved(site, bench, (up, size, number)))[0] for number in range(effort.seeds)
        ]
        mean_s = fmean(asked_s)
        allowed += 3 * stdev(asked_s) / math.sqrt(effort.seeds) / mean_s
        what = f"{effort.seeds} × {size / 1e6:.2g} MB"
        pair = Pair(what, mean_s * effort.seeds, sum(taken_s))
    sent, came = counted
    network, asked = site.network, site.network.transport.loss
    direction = "up" if up else "down"
    return LossResult(
        network.name, direction, asked, sent, sent - came, pair, effort.seeds, allowed
    )


async def _counted(sites: Sequence[Site], net: str) -> dict[tuple[str, bool], tuple[int, int]]:
    """Datagrams sent and arrived, by network and whether up."""
    found: dict[tuple[str, bool], tuple[int, int]] = {}
    if not sites:
        return found
    with opened(Net(net), sites) as links:
        for device, site in enumerate(sites):
            pair = links_of(site, 1.0, 0.0)
            inside, hub = links.datagrams(device)
            with inside, hub:
                found[site.network.name, True] = await _count((inside, hub), pair.up)
                found[site.network.name, False] = await _count((hub, inside), pair.down)
    return found


async def _count(
    ends: tuple[socket.socket, socket.socket], link: LinkParameters
) -> tuple[int, int]:
    """Few enough for the link never to be full."""
    loss = link.tcp.loss if link.tcp else 0.0
    count = math.ceil(min(_MOST_COUNTED, _EXPECTED_LOST / loss)) if loss else 0
    per_s = min(_PER_S, _RATE_SHARE * link.bytes_per_s / (_SMALL_BYTES + FRAMING_BYTES))
    begin_s = time.monotonic()
    until_s = begin_s + count / per_s + link.delay_s + _SETTLED_S
    sent, arrivals = await through(
        ends, lambda now_s: min(count, (now_s - begin_s) * per_s), until_s, _SMALL_BYTES
    )
    return sent, len(arrivals.times_s)
