"""A device that goes through a record again: its links, its pace and its presence follow the
record in step with the rounds, and it leaves where it was lost.

Parts of a record that say what the device's own profile and traces say are played from those, so
that not even rounding differs. The worker knows nothing of it: its phases are heard through its
tracer.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

from commands.absence import Playing
from commands.unrolled import planned
from netem.alignment import (
    AlignedCapacity,
    AlignedSpeed,
    AlignedVariation,
    Alignment,
)
from netem.device import LinkPair
from netem.link import LinkParameters
from netem.pace import FullSpeed, Speed
from netem.replay import DelayTrace
from netem.timer import Timer, sleep_until
from profiles import Member, PlayedTrace
from profiles.trace import DeviceTrace, Intervals
from protocol.telemetry import Json, Tracer


@dataclass(frozen=True, slots=True)
class Replayed:
    """What one client goes through again."""

    over: PlayedTrace
    """What differs from its own profile and traces."""
    rounds: Mapping[int, float]
    """Where in the record each round begins; of none: the record goes by the run's time."""
    dropouts: Mapping[tuple[int, str], float]
    """(round, phase) as it enters which it goes, and for how long."""
    alignment: Alignment = field(default_factory=Alignment, compare=False)


@dataclass(frozen=True, slots=True)
class Again:
    """A run that is gone through again."""

    of: str
    digest: str
    """SHA-256 of its trace."""
    by: str
    """What the record goes by: each `round`, or the run's `time`."""
    clients: Mapping[int, Replayed] = field(repr=False)

    def of_client(self, client: int) -> Replayed | None:
        """For one run; None if the record says nothing of it."""
        told = self.clients.get(client)
        return None if told is None else replace(told, alignment=Alignment())

    def to_mapping(self) -> dict[str, object]:
        return {"of": self.of, "trace_sha256": self.digest, "by": self.by}


def digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def replayed(member: Member, trace: DeviceTrace, by_round: bool) -> Replayed:
    plan = planned(member, trace.end_s)

    def own(part: str) -> bool:
        return getattr(trace, part) in (None, getattr(plan, part))

    parts = ("up", "down", "up_delay_s", "down_delay_s", "pace")
    differing = {part: getattr(trace, part) for part in parts if not own(part)}
    rounds = {mark.round: mark.at_s for mark in trace.rounds} if by_round else {}
    return Replayed(
        PlayedTrace(0.0, "hold", 1.0, **differing), rounds, _dropouts(trace, plan.available)
    )


def _dropouts(trace: DeviceTrace, own: Intervals) -> dict[tuple[int, str], float]:
    """Those at which it went, and for how long it was gone by `available`; but not those at which
    its own trace lets it go, and will again. All others follow from what is played."""
    if trace.available is None:
        return {}
    spans = trace.available.spans_s
    leaves = {stop_s for _, stop_s in own.spans_s if stop_s < own.end_s}
    returns = [start_s for start_s, _ in spans[1:]] + [math.inf]
    away_s = {stop_s: start_s - stop_s for (_, stop_s), start_s in zip(spans, returns, strict=True)}
    return {
        (mark.round, mark.phase): away_s[mark.at_s]
        for mark in trace.dropouts
        if mark.at_s in away_s.keys() - leaves
    }


def aligned_links(pair: LinkPair, alignment: Alignment) -> LinkPair:
    """In step with the record, as far as they follow a trace at all."""

    def aligned(link: LinkParameters) -> LinkParameters:
        if link.varying is not None:
            link = replace(link, varying=AlignedCapacity(link.varying, alignment))
        if isinstance(link.variation, DelayTrace):
            link = replace(link, variation=AlignedVariation(link.variation, alignment))
        return link

    return LinkPair(aligned(pair.up), aligned(pair.down))


def aligned_speed(speed: Speed, alignment: Alignment, time_scale: float) -> Speed:
    return speed if isinstance(speed, FullSpeed) else AlignedSpeed(speed, alignment, time_scale)


class Gone(Exception):
    """The device is switched off at this instant, for so many seconds."""

    def __init__(self, away_s: float) -> None:
        super().__init__(f"gone for {away_s:g} s")
        self.away_s = away_s


class HeardTracer(Tracer):
    """Says which phase of which round is being entered, before anything of it happens."""

    on_phase: Callable[[int, str], None] = staticmethod(lambda round_, phase: None)

    def span(self, phase: str, round_: int) -> AbstractContextManager[dict[str, Json]]:
        self.on_phase(round_, phase)
        return super().span(phase, round_)


@dataclass(slots=True)
class Follower:
    """Keeps one device in step with its record, and takes it away where it was lost."""

    replayed: Replayed
    clock: Callable[[], float]
    """Emulated seconds."""
    began_s: float = field(init=False)
    _round: int = 0

    def __post_init__(self) -> None:
        self.began_s = self.clock()

    def entered(self, round_: int, phase: str) -> None:
        """Raises Gone."""
        if round_ > self._round:
            self._round = round_
            mark_s = self.replayed.rounds.get(round_)
            if mark_s is not None:
                self.replayed.alignment.align(mark_s, self.clock() - self.began_s)
        away_s = self.replayed.dropouts.get((round_, phase))
        if away_s is not None:
            raise Gone(away_s)


@dataclass(frozen=True, slots=True)
class Leaving:
    """Plays a worker whose device is now and then gone, as if it were the worker."""

    worker: Playing
    timer: Timer
    time_scale: float
    hang_up: Callable[[], None]
    tracer: Tracer

    async def run(self) -> str:
        while True:
            try:
                return await self.worker.run()
            except Gone as gone:
                self.hang_up()
                self.tracer.event("device_away", 0)
                if gone.away_s == math.inf:
                    return "it was lost here for good"
                back_s = self.timer.now() + gone.away_s * self.time_scale
            await sleep_until(self.timer, back_s)
            self.tracer.event("device_back", 0)
