"""Verify's check of shared links: all that are behind one at once, what they get together, and
whether those who could take more get alike. Of the wires themselves: without a sender's model.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import aiohttp

from commands.emulation import Site, links_of
from commands.sharing import shared_network
from commands.verification.bounds import JAIN, SUM
from commands.verification.far_end import Arrivals, FarEnd, download, upload
from commands.verification.figure import Pair
from commands.verification.measuring import Effort
from commands.verification.repeating import Repeats
from netem.access import StreamAccess
from netem.device import LinkPair
from netem.fidelity import FidelityMeter
from netem.link import FRAME_BYTES, SEGMENT_BYTES
from netem.timer import Timer
from profiles import Fleet, SharedAccess

_SETTLED = 0.4
"""Of the time: by then senders have found their rates."""


@dataclass(frozen=True, slots=True)
class ShareResult:
    """One direction of a shared link: wire bytes a second of all its members together."""

    name: str
    what: str
    members: int
    sum: Pair
    equal: int
    """How many of them the shared link holds back."""
    jain: float | None
    """Of what each of those got of its part."""
    tried: tuple["ShareResult", ...] = ()
    """All that was measured, in order; this is one of these."""

    @property
    def off(self) -> float:
        """How far off, as a multiple of the bound."""
        unfair = 0.0 if self.jain is None else (1 - self.jain) / (1 - JAIN)
        return max(abs(self.sum.error or 0.0) / SUM, unfair)


async def shares(
    fleet: Fleet,
    sites: Sequence[Site],
    means: tuple[FarEnd, Timer],
    effort: Effort,
    repeats: Repeats,
) -> list[ShareResult]:
    """Each shared link by itself, both ways."""
    found = []
    for access in fleet.shared:
        for what in ("up", "down"):
            measure = partial(_of_one, fleet, access, sites, (what, *means, effort))
            chosen, tried = await repeats.judged(measure, lambda share: share.off)
            found.append(replace(chosen, tried=tried))
    return found


async def _of_one(
    fleet: Fleet,
    access: SharedAccess,
    sites: Sequence[Site],
    means: tuple[str, FarEnd, Timer, Effort],
) -> ShareResult:
    what, far, timer, effort = means
    members = [site for site in sites if site.member in access.members]
    own = {site.member or 0: _rate(site, what) for site in members}
    wires = [(frozenset(a.members) & set(own), _shared_rate(a, what)) for a in fleet.shared]
    fair = fair_rates(own, wires)
    network = shared_network(fleet, timer, 1.0, coordinator=False)
    seconds = 2 * effort.seconds

    async def one(site: Site) -> Arrivals:
        member = site.member or 0
        pair, count = network.lengthened(links_of(site, 1.0, 0.0)), int(fair[member] * seconds)
        bare = LinkPair(replace(pair.up, tcp=None), replace(pair.down, tcp=None))
        link = StreamAccess(bare, timer, FidelityMeter(), network.crossings(member))
        try:
            async with aiohttp.ClientSession(connector=link.connector()) as session:
                move = upload if what == "up" else download
                return await move(session, far, f"{access.name} {member} {what}", count)
        finally:
            link.close()

    flows = await asyncio.gather(*map(one, members))
    rates = dict(zip(own, _while_all_flow(flows), strict=True))
    held_back = [m for m in own if fair[m] < own[m] * (1 - 1e-9)]
    index = jain([rates[m] / fair[m] for m in held_back]) if len(held_back) > 1 else None
    both = Pair("sum", sum(fair.values()), sum(rates.values()))
    return ShareResult(access.name, what, len(members), both, len(held_back), index)


def fair_rates(
    own: Mapping[int, float], wires: Sequence[tuple[frozenset[int], float]]
) -> dict[int, float]:
    """The max-min fair rates of members that share wires: everybody's grows alike until its own
    link or a wire on its way is full."""
    bounds = [(frozenset((member,)), rate) for member, rate in own.items()]
    bounds += [(members, rate) for members, rate in wires if members]
    rates, growing = dict.fromkeys(own, 0.0), set(own)
    while growing:
        step = min(
            (rate - sum(rates[m] for m in members)) / len(members & growing)
            for members, rate in bounds
            if members & growing
        )
        for member in growing:
            rates[member] += step
        for members, rate in bounds:
            if sum(rates[m] for m in members) >= rate * (1 - 1e-9):
                growing -= members
    return rates


def jain(values: Sequence[float]) -> float:
    """Jain's index of fairness (DEC-TR-301, 1984): 1 if all are alike."""
    squares = len(values) * sum(value * value for value in values)
    return sum(values) ** 2 / squares if squares else 0.0


def _while_all_flow(flows: Sequence[Arrivals]) -> list[float]:
    """Wire bytes a second of each, from when all have found their rates until the first is done."""
    begin_s = max(flow.times_s[0] for flow in flows)
    end_s = min(flow.times_s[-1] for flow in flows)
    begin_s += _SETTLED * max(0.0, end_s - begin_s)
    framing = FRAME_BYTES / SEGMENT_BYTES
    seconds = end_s - begin_s
    if seconds <= 0:
        return [0.0] * len(flows)
    return [(flow.until(end_s) - flow.until(begin_s)) * framing / seconds for flow in flows]


def _rate(site: Site, what: str) -> float:
    pair = links_of(site, 1.0, 0.0)
    return (pair.up if what == "up" else pair.down).bytes_per_s


def _shared_rate(access: SharedAccess, what: str) -> float:
    return access.up_bytes_per_s if what == "up" else access.down_bytes_per_s
