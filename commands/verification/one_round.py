"""Verify's check of a round: every device of the fleet at once gets a model and sends one, as in a
run, against what each of them should take. Devices live by presents of their own, as in a run. What
they would compute in between is not waited for, but counted: a round is as long as that.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

import aiohttp

from commands.emulation import NewAccess, Site, links_of
from commands.verification.bounds import HEADROOM, LAST, LAST_S, late_off, rates_off
from commands.verification.far_end import Arrivals, FarEnd, download, upload
from commands.verification.figure import Pair
from commands.verification.measuring import STEADY_FROM, Effort
from commands.verification.prediction import Traveller, rounds_s
from netem.fidelity import FidelityMeter, Measured
from netem.pace import Pace
from netem.timer import Timer
from protocol.work import Operation, Tally

MODEL_BYTES = 1_600_000
TRAINING: Tally = {
    Operation.TRAINING_MAC: 3 * 5_710_000 * 144,
    Operation.TRAINING_BATCH: 16,
}
"""What a client gets, sends and computes in a round of the default task (digits in a fleet of
twenty: 400,000 parameters of 4 bytes, 72 examples twice, ten at a time)."""
_LEAST_BYTES = 100_000
_LEAST_STEADY_S = 0.2
"""A rate is not told from less."""


@dataclass(frozen=True, slots=True)
class RoundResult:
    """All devices at once: each downloads so many bytes and, when it has them, uploads as many."""

    bytes_each: int
    transfers_s: float
    """How long all of that should take."""
    taken: tuple[Pair, ...]
    """Seconds of each device, from the first packet to its last byte at the far end, and what it
    would compute in between."""
    errors: tuple[tuple[int, str, float | None], ...]
    """(client, what, relative error of its rate); None where it flowed too briefly to say, or
    could not fill its link."""
    measured: Measured
    cpu_s: float
    """Of this process, links and both ends of every transfer; or of the process that plays packet
    links, if that is more: each has one core."""
    gbit: float
    """Payload that was moved in all."""
    gbit_per_s: float
    """What all devices together ask for at once at full rate, the way that asks for more."""
    tried: tuple["RoundResult", ...] = ()
    """All that was measured, in order; this is one of these."""

    @property
    def last(self) -> Pair:
        """What a round waits for."""
        known = [pair.delivered for pair in self.taken if pair.delivered is not None]
        return Pair("last", max(pair.asked for pair in self.taken), max(known))

    @property
    def median_error(self) -> float | None:
        known = [abs(e) for _, _, e in self.errors if e is not None]
        return median(known) if known else None

    @property
    def worst_error(self) -> float | None:
        return max((abs(e) for _, _, e in self.errors if e is not None), default=None)

    @property
    def in_time(self) -> int:
        """Devices that were through with it late by no more than a round may be late."""
        allowed_s = max(LAST * self.last.asked, LAST_S)
        late_s = ((pair.delivered or math.inf) - pair.asked for pair in self.taken)
        return sum(late <= allowed_s for late in late_s)

    @property
    def core_share(self) -> float:
        """Of one core, while the round's transfers should have lasted."""
        return self.cpu_s / self.transfers_s

    def carried_in_rounds(self) -> int:
        """How many devices like this fleet's a host that it has to itself can take through a round:
        by the processor time that this took, and never more than were in time where not all were.
        """
        clients = len(self.taken)
        by_time = math.floor(clients * HEADROOM / self.core_share)
        return by_time if self.in_time == clients else min(by_time, self.in_time)

    def carried_at_full_rate(self, busy_share: float) -> int:
        """How many could transfer without a pause at their full rates, on a host that is so busy
        besides: no round asks for that."""
        needed = self.cpu_s / self.gbit * self.gbit_per_s
        free = HEADROOM * max(0.0, 1 - busy_share)
        return math.floor(len(self.taken) * free / needed)

    def rates_judged(self) -> bool:
        """Single devices' rates are judged where the host could carry all of them at once."""
        return self.carried_at_full_rate(0.0) >= len(self.taken)

    def off(self, steady: bool) -> float:
        """How far off, as a multiple of the bound. `steady`: how long it takes is not chance's."""
        late = late_off(self.last) if steady else 0.0
        rates = rates_off(self.median_error, self.worst_error) if self.rates_judged() else 0.0
        return max(late, rates)


class Playing(NamedTuple):
    """Who plays the fleet's links. `busy_s`: processor seconds of another process of theirs."""

    accesses: Sequence[NewAccess]
    travellers: Callable[[Timer], Sequence[Traveller]]
    busy_s: Callable[[], float]
    held_back: frozenset[int]
    """Clients whose rates are not judged: links that cannot be full, since they are shared or lose
    packets, and delays that wander by more than so short a rate can bear."""


async def one_round(
    sites: Sequence[Site], playing: Playing, far: FarEnd, effort: Effort
) -> RoundResult:
    rates = {what: [_rate(site, what) for site in sites] for what in ("up", "down")}
    slowest = min(min(asked) for asked in rates.values())
    count = max(_LEAST_BYTES, min(MODEL_BYTES, int(slowest * effort.round_s)))
    asked_s = rounds_s(playing.travellers, count)
    begun_s, busy_s = time.process_time(), playing.busy_s()
    start_s = asyncio.get_running_loop().time()
    work = [_take_part(new, index, far, count) for index, new in enumerate(playing.accesses)]
    flows = await asyncio.gather(*work)
    cpu_s = max(time.process_time() - begun_s, playing.busy_s() - busy_s)
    errors = []
    for index, (down, up, _) in enumerate(flows):
        for what, flow in (("down", down), ("up", up)):
            delivered = flow.wire_bytes_per_s(STEADY_FROM, _LEAST_STEADY_S)
            rate = Pair(what, rates[what][index], delivered)
            errors.append((index, what, None if index in playing.held_back else rate.error))
    taken = []
    for index, (site, asked, (_, up, _)) in enumerate(zip(sites, asked_s, flows, strict=True)):
        computing_s = Pace(site.device.seconds_per_operation).seconds(TRAINING)
        delivered_s = up.times_s[-1] - start_s + computing_s
        taken.append(Pair(f"client {index}", asked + computing_s, delivered_s))
    return RoundResult(
        count,
        max(asked_s),
        tuple(taken),
        tuple(errors),
        FidelityMeter.merged(meter for _, _, meter in flows).measured(),
        cpu_s,
        2 * count * len(sites) * 8e-9,
        max(sum(asked) for asked in rates.values()) * 8e-9,
    )


async def _take_part(
    new: NewAccess, index: int, far: FarEnd, count: int
) -> tuple[Arrivals, Arrivals, FidelityMeter]:
    meter = FidelityMeter()
    access = new(meter)
    try:
        async with aiohttp.ClientSession(connector=access.connector()) as session:
            down = await download(session, far, f"{index} down", count)
            return down, await upload(session, far, f"{index} up", count), meter
    finally:
        access.close()


def _rate(site: Site, what: str) -> float:
    pair = links_of(site, 1.0, 0.0)
    return (pair.up if what == "up" else pair.down).bytes_per_s
