"""Verify's check of traces: what a link that is kept busy delivers in windows, against the trace's
own integral."""

import asyncio
import math
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import aiohttp

from commands.emulation import Site, links_of
from commands.nets import Net, opened_pairs, packet_pair
from commands.verification.datagrams import DATAGRAM_BYTES, through
from commands.verification.far_end import Arrivals, FarEnd, download, upload
from commands.verification.figure import Pair
from commands.verification.measuring import Effort
from commands.verification.repeating import Repeats
from netem.access import StreamAccess
from netem.capacity import Capacity
from netem.device import LinkPair
from netem.fidelity import FidelityMeter
from netem.link import FRAME_BYTES, SEGMENT_BYTES, LinkParameters
from netem.tcp.parameters import TcpParameters
from netem.timer import Timer, sleep_until

WINDOW_S = 10.0
"""The windows in which a replay is judged; shorter ones (--quick) have a wider bound."""
REPLAY, REPLAY_SHORT = 0.01, 0.02
_SETTLED_S, _SPARE_S = 0.5, 0.5
_AHEAD_S = 0.1
"""What is offered before a link could carry it, so that it never falls idle."""
_ROOM_S = 5.0
"""What may wait in front of a packet link's wire, at its mean rate: all that is ahead."""


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """One direction of one client's link: wire bytes in each window."""

    client: int
    what: str
    window_s: float
    windows: tuple[Pair, ...]
    grain_bytes: float
    """What comes at once: so much may fall on either side of a window's end, at both ends."""
    tried: tuple["ReplayResult", ...] = ()
    """All that was measured, in order; this is one of these."""

    @property
    def bound(self) -> float:
        return REPLAY if self.window_s >= WINDOW_S else REPLAY_SHORT

    @property
    def total(self) -> Pair:
        asked = sum(pair.asked for pair in self.windows)
        return Pair("total", asked, sum(pair.delivered or 0.0 for pair in self.windows))

    @property
    def worst(self) -> Pair:
        return max(self.windows, key=lambda pair: abs((pair.delivered or 0.0) - pair.asked))

    @property
    def off(self) -> float:
        """How far off the worst window is, as a multiple of its bound."""
        return max(
            (
                abs((pair.delivered or 0.0) - pair.asked)
                / max(self.bound * pair.asked, 2 * self.grain_bytes)
                for pair in self.windows
            ),
            default=math.inf,
        )

    @property
    def within(self) -> bool:
        return self.off <= 1


class _Way(NamedTuple):
    """A direction that follows a trace."""

    site: Site
    up: bool
    pair: LinkPair
    epoch_s: float

    @property
    def link(self) -> LinkParameters:
        return self.pair.up if self.up else self.pair.down

    @property
    def capacity(self) -> Capacity:
        return self.link.capacity


async def replays(
    sites: Sequence[Site],
    net: str,
    means: tuple[FarEnd, Timer],
    effort: Effort,
    repeats: Repeats,
) -> list[ReplayResult]:
    """Of all clients whose links follow a trace, at once."""
    traced = [site for site in sites if _ways(site, 0.0)]
    if not traced or net == "kernel":
        return []

    async def measured() -> list[ReplayResult]:
        return await _at_once(traced, net, means, effort)

    _, tried = await repeats.judged(measured, lambda found: max(one.off for one in found))
    return middles(tried)


def middles(tried: Sequence[Sequence[ReplayResult]]) -> list[ReplayResult]:
    """Of each direction: the first, if it was within; otherwise the middle one of all."""
    chosen = []
    for every in zip(*tried, strict=True):
        judged = every[:1] if every[0].within else every
        middle = sorted(judged, key=lambda found: found.off)[len(judged) // 2]
        chosen.append(replace(middle, tried=judged))
    return chosen


async def _at_once(
    traced: Sequence[Site], net: str, means: tuple[FarEnd, Timer], effort: Effort
) -> list[ReplayResult]:
    if net == "stream":
        ways = [way for site in traced for way in _ways(site, means[1].now())]
        return list(await asyncio.gather(*(_over_stream(way, means, effort) for way in ways)))
    pairs = [packet_pair(_bare(site, 0.0, _ROOM_S)) for site in traced]
    with opened_pairs(Net(net), pairs, traced[0].seed) as links, ExitStack() as sockets:
        work = []
        for device, site in enumerate(traced):
            for way in _ways(site, links.begin_s):
                inside, hub = map(sockets.enter_context, links.datagrams(device))
                ends = (inside, hub) if way.up else (hub, inside)
                work.append(_over_packets(way, ends, links.begin_s, effort))
        return list(await asyncio.gather(*work))


def _ways(site: Site, epoch_s: float) -> list[_Way]:
    """Its directions that follow a trace, which begins then."""
    pair = _bare(site, epoch_s)
    both = ((True, pair.up), (False, pair.down))
    return [_Way(site, up, pair, epoch_s) for up, link in both if link.varying is not None]


def _bare(site: Site, epoch_s: float, room_s: float = 0.0) -> LinkPair:
    """The links with their rates alone: no sender's model, no loss, no delay that wanders.
    `room_s`: what may wait in front of the wire (0: nothing there is ever dropped)."""
    pair = links_of(site, 1.0, epoch_s)
    return LinkPair(*(_plain(link, room_s) for link in (pair.up, pair.down)))


def _plain(link: LinkParameters, room_s: float) -> LinkParameters:
    room = TcpParameters("cubic", link.bytes_per_s * room_s) if room_s else None
    return replace(link, tcp=room, variation=None)


async def _over_stream(way: _Way, means: tuple[FarEnd, Timer], effort: Effort) -> ReplayResult:
    """One transfer that is longer than is looked at."""
    far, timer = means
    name = f"trace {way.site.member} {way.up}"
    arrivals = far.expected(name)
    access = StreamAccess(way.pair, timer, FidelityMeter())
    until_s = (
        way.epoch_s
        + _SETTLED_S
        + _SPARE_S
        + effort.window_s * effort.windows
        + 2 * way.link.delay_s
    )
    count = int(way.capacity.carried_bytes(way.epoch_s, until_s + 1.0))
    try:
        async with aiohttp.ClientSession(connector=access.connector()) as session:
            move = (upload if way.up else download)(session, far, name, count)
            task = asyncio.ensure_future(move)
            await sleep_until(timer, until_s)
            task.cancel()
            await asyncio.wait([task])
    finally:
        access.close()
    return _result(way, arrivals, FRAME_BYTES / SEGMENT_BYTES, effort)


async def _over_packets(
    way: _Way, ends: tuple[socket.socket, socket.socket], begin_s: float, effort: Effort
) -> ReplayResult:
    """Datagrams a little ahead of what the link can carry by then."""
    capacity = way.capacity

    def offered(now_s: float) -> float:
        return 2 + capacity.carried_bytes(begin_s, now_s + _AHEAD_S) / FRAME_BYTES

    until_s = time.monotonic() + _SETTLED_S + _SPARE_S + effort.window_s * effort.windows
    until_s += 2 * way.link.delay_s
    _, arrivals = await through(ends, offered, until_s, DATAGRAM_BYTES)
    return _result(way, arrivals, FRAME_BYTES / DATAGRAM_BYTES, effort)


def _result(way: _Way, arrivals: Arrivals, framing: float, effort: Effort) -> ReplayResult:
    """`framing`: bytes on the wire for each that arrived."""
    delay_s, capacity = way.link.delay_s, way.capacity
    windows = []
    if arrivals.times_s:
        first_s = arrivals.times_s[0] - delay_s + _SETTLED_S
        edges = [first_s + number * effort.window_s for number in range(effort.windows + 1)]
        edges = [edge for edge in edges if edge + delay_s <= arrivals.times_s[-1]]
        for begin_s, end_s in pairwise(edges):
            got = arrivals.until(end_s + delay_s) - arrivals.until(begin_s + delay_s)
            asked = capacity.carried_bytes(begin_s, end_s)
            windows.append(Pair(f"{begin_s - way.epoch_s:.1f} s", asked, got * framing))
    grain = max(float(FRAME_BYTES), way.link.bytes_per_s * way.link.quantum_s)
    what = "up" if way.up else "down"
    return ReplayResult(way.site.member or 0, what, effort.window_s, tuple(windows), grain)
