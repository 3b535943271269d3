"""Links that follow a trace: a rate in steps, and delivery opportunities as Mahimahi's.

Opportunities keep Mahimahi's rules (its link_queue): each carries a packet of 1500 bytes; what
waits then leaves with it, a packet may need several, what is left of one goes to the next in the
queue, and what nobody uses is lost. Mahimahi counts from the IP header on; on the wire as it is
counted here such a packet is a frame of 1514 bytes, and that is what an opportunity carries.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass, field, replace

from netem.link import FRAME_BYTES
from netem.playback import AtEnd, Integral, Playback
from profiles.trace import Opportunities, Rate, Steps

_ROUNDING_MS = 1e-5
"""Opportunities are a whole millisecond apart, if at all."""


class ReplayError(ValueError):
    """A trace cannot be played like that."""


@dataclass(frozen=True, slots=True)
class SteppedCapacity:
    """A rate that changes at the times of a trace, and may be zero for a while."""

    steps: Steps
    playback: Playback
    scale: float = 1.0
    """What the trace's rates are multiplied by."""
    _integral: Integral = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check(self.steps, self.scale)
        object.__setattr__(self, "_integral", Integral(self.steps, self.playback))

    @property
    def bytes_per_s(self) -> float:
        return self._integral.lap * self.scale / (self.steps.end_s * self.playback.stretch)

    def carried_bytes(self, from_s: float, to_s: float) -> float:
        return self._integral.over(from_s, to_s) * self.scale

    def scaled(self, time_scale: float) -> "SteppedCapacity":
        return replace(self, playback=self.playback.scaled(time_scale))

    def wire(self) -> "SteppedCapacity":
        """Itself: where the trace is depends on the time alone."""
        return self

    def send(self, wire_bytes: float, start_s: float) -> float:
        return self._integral.finish_s(wire_bytes / self.scale, start_s)


@dataclass(frozen=True, slots=True)
class OpportunityCapacity:
    """Opportunities of one full frame (times `scale`) each, at the instants of a trace."""

    opportunities: Opportunities
    playback: Playback
    scale: float = 1.0

    def __post_init__(self) -> None:
        _check(self.opportunities, self.scale)
        if self.playback.at_end is AtEnd.HOLD:
            raise ReplayError("opportunities have no last value to hold: loop or stop")

    @property
    def grain_bytes(self) -> float:
        return FRAME_BYTES * self.scale

    @property
    def bytes_per_s(self) -> float:
        seconds = self.opportunities.end_s * self.playback.stretch
        return len(self.opportunities.at_ms) * self.grain_bytes / seconds

    def carried_bytes(self, from_s: float, to_s: float) -> float:
        return (self.passed(to_s) - self.passed(from_s)) * self.grain_bytes

    def scaled(self, time_scale: float) -> "OpportunityCapacity":
        return replace(self, playback=self.playback.scaled(time_scale))

    def wire(self) -> "OpportunityWire":
        return OpportunityWire(self)

    def passed(self, now_s: float) -> int:
        """How many have been there by now, those of this very instant included: an instant that
        was computed from an opportunity's own time finds it in spite of rounding."""
        position_s = self.playback.position_s(now_s) + _ROUNDING_MS / 1000
        laps, at_ms = 0, self.opportunities.at_ms
        if position_s >= self.opportunities.end_s:
            if self.playback.at_end is AtEnd.STOP:
                return len(at_ms)
            whole, position_s = divmod(position_s, self.opportunities.end_s)
            laps = int(whole)
        return laps * len(at_ms) + bisect_right(at_ms, position_s * 1000)

    def instant_s(self, index: int) -> float:
        """When opportunity `index` is, counted from the start of the trace."""
        laps, within = divmod(index, len(self.opportunities.at_ms))
        if laps and self.playback.at_end is AtEnd.STOP:
            return math.inf
        position_s = laps * self.opportunities.end_s + self.opportunities.at_ms[within] / 1000
        return self.playback.instant_s(position_s)


class OpportunityWire:
    """Remembers the opportunity that is partly used, whose rest is for whoever is next in line at
    that very instant."""

    def __init__(self, capacity: OpportunityCapacity) -> None:
        self._capacity = capacity
        self._sent_s = -math.inf
        self._next = 0
        self._rest_bytes = 0.0

    def send(self, wire_bytes: float, start_s: float) -> float:
        capacity = self._capacity
        if start_s != self._sent_s:  # it was idle: what passed meanwhile is lost
            self._rest_bytes = 0.0
            self._next = max(self._next, capacity.passed(start_s))
        missing = wire_bytes - self._rest_bytes
        used = max(0, math.ceil(missing / capacity.grain_bytes))
        if used:
            self._next += used
            self._sent_s = max(start_s, capacity.instant_s(self._next - 1))
        else:
            self._sent_s = start_s
        self._rest_bytes = used * capacity.grain_bytes - missing
        return self._sent_s


TraceCapacity = SteppedCapacity | OpportunityCapacity


def follow(rate: Rate, playback: Playback, scale: float = 1.0) -> TraceCapacity:
    """The capacity of a link that plays this trace."""
    kind = SteppedCapacity if isinstance(rate, Steps) else OpportunityCapacity
    return kind(rate, playback, scale)  # type: ignore[arg-type]


def _check(rate: Rate, scale: float) -> None:
    if not (math.isfinite(scale) and scale > 0):
        raise ReplayError(f"scale must be positive and finite, not {scale}")
    if not rate.total() > 0:
        raise ReplayError("carries nothing from its start to its end")


@dataclass(frozen=True, slots=True)
class DelayTrace:
    """A `netem.impairment.Variation`: a delay that follows a trace, beside its mean `mean_s`.

    Its playback counts from the link's beginning: its epoch is 0."""

    steps: Steps
    playback: Playback

    @property
    def mean_s(self) -> float:
        return self.steps.total() / self.steps.end_s * self.playback.stretch

    @property
    def least_s(self) -> float:
        return min(0.0, min(self.steps.values) * self.playback.stretch - self.mean_s)

    def scaled(self, time_scale: float) -> "DelayTrace":
        return replace(self, playback=self.playback.scaled(time_scale))

    def course(self) -> "DelayCourse":
        return DelayCourse(self)


class DelayCourse:
    """The delay trace as it goes on."""

    def __init__(self, trace: DelayTrace) -> None:
        self._integral = Integral(trace.steps, trace.playback)
        self._stretch, self._mean_s = trace.playback.stretch, trace.mean_s

    def extra_s(self, at_s: float) -> float:
        return self._integral.value(at_s) * self._stretch - self._mean_s
