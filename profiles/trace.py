"""What a trace says of a device over time, whatever file it came from: link rates and delays, pace,
availability, and the drop-outs of a recorded run.

Values only; nothing here knows a file format or who plays a trace. Times count from the trace's
own start; rates are bytes on the wire.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

OPPORTUNITY_BYTES = 1500
"""What one delivery opportunity of a Mahimahi trace carries: a packet of the Ethernet MTU."""
MAX_TIME_S = 1e9
"""Thirty years: a larger time is a slip of the unit."""


class TraceError(ValueError):
    """A trace that makes no sense; the text is the rule broken."""


@dataclass(frozen=True, slots=True)
class Steps:
    """A quantity that holds each value from its time on until the next one's, the last until
    `end_s`. The first time is 0."""

    at_s: tuple[float, ...]
    values: tuple[float, ...]
    end_s: float

    def __post_init__(self) -> None:
        if not self.at_s or len(self.at_s) != len(self.values):
            raise TraceError("needs as many values as times, and at least one")
        if self.at_s[0] != 0:
            raise TraceError(f"begins at {self.at_s[0]:g} s, not at 0")
        if any(b <= a for a, b in pairwise(self.at_s)):
            raise TraceError("times must increase")
        if not self.at_s[-1] < self.end_s <= MAX_TIME_S:
            raise TraceError(f"must end after its last time, and within {MAX_TIME_S:g} s")
        if not all(math.isfinite(value) and value >= 0 for value in self.values):
            raise TraceError("values must be finite and not negative")

    @classmethod
    def constant(cls, value: float, end_s: float) -> "Steps":
        return cls((0.0,), (value,), end_s)

    def total(self) -> float:
        """The integral over the whole."""
        ends = (*self.at_s[1:], self.end_s)
        return math.fsum(
            v * (end - at) for v, at, end in zip(self.values, self.at_s, ends, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Opportunities:
    """Instants, in whole milliseconds, at each of which `OPPORTUNITY_BYTES` may leave. One that is
    not used is lost. Several may fall on one instant."""

    at_ms: tuple[int, ...]
    end_s: float

    def __post_init__(self) -> None:
        if not self.at_ms:
            raise TraceError("needs at least one opportunity")
        if self.at_ms[0] < 0 or any(b < a for a, b in pairwise(self.at_ms)):
            raise TraceError("times must not be negative and must not decrease")
        if not (0 < self.end_s <= MAX_TIME_S and self.at_ms[-1] <= self.end_s * 1000):
            raise TraceError("must last for a time, and no shorter than its last opportunity")

    def total(self) -> float:
        """Bytes that the whole can carry."""
        return float(OPPORTUNITY_BYTES * len(self.at_ms))


Rate = Steps | Opportunities
"""Bytes on the wire over time."""


@dataclass(frozen=True, slots=True)
class Intervals:
    """When a device is there: from each start to its end, in order, apart, within [0, end_s]."""

    spans_s: tuple[tuple[float, float], ...]
    end_s: float

    def __post_init__(self) -> None:
        if not 0 < self.end_s <= MAX_TIME_S:
            raise TraceError(f"must last for a time, and at most {MAX_TIME_S:g} s")
        edges = [edge for span in self.spans_s for edge in span]
        if not all(math.isfinite(edge) for edge in edges):
            raise TraceError("times must be finite")
        if any(b <= a for a, b in pairwise(edges)):
            raise TraceError("intervals must be in order, not empty and apart")
        if edges and not (edges[0] >= 0 and edges[-1] <= self.end_s):
            raise TraceError("intervals must lie within the trace")


@dataclass(frozen=True, slots=True)
class RoundStart:
    """When a device began a round: what ties a recorded trace to the rounds it was recorded in."""

    at_s: float
    round: int


@dataclass(frozen=True, slots=True)
class Dropout:
    """The device was lost to a round, in this phase of it."""

    at_s: float
    round: int
    phase: str


@dataclass(frozen=True, slots=True)
class DeviceTrace:
    """What one device went through; None: the trace does not say. Every part ends at `end_s`."""

    device: str
    end_s: float
    up: Rate | None = None
    down: Rate | None = None
    up_delay_s: Steps | None = None
    down_delay_s: Steps | None = None
    pace: Steps | None = None
    """Speed relative to the device's profile: 0.5 takes twice as long."""
    available: Intervals | None = None
    rounds: tuple[RoundStart, ...] = ()
    dropouts: tuple[Dropout, ...] = ()

    def __post_init__(self) -> None:
        parts = (self.up, self.down, self.up_delay_s, self.down_delay_s, self.pace, self.available)
        if any(part is not None and part.end_s != self.end_s for part in parts):
            raise TraceError("every part must end when the device's trace ends")
        for marks in (self.rounds, self.dropouts):
            _check_marks(marks, self.end_s)


def _check_marks(marks: Sequence[RoundStart | Dropout], end_s: float) -> None:
    if any(b.at_s < a.at_s for a, b in pairwise(marks)):
        raise TraceError("rounds and drop-outs must be in order of time")
    if any(not 0 <= mark.at_s <= end_s or mark.round < 0 for mark in marks):
        raise TraceError("rounds and drop-outs must lie within the trace")


@dataclass(frozen=True, slots=True)
class TraceFile:
    """The traces of one file. `notes`: where it is from, and what was assumed in reading it."""

    title: str
    notes: tuple[str, ...]
    devices: tuple[DeviceTrace, ...]

    def __post_init__(self) -> None:
        if not self.devices:
            raise TraceError("holds no device")
        names = [trace.device for trace in self.devices]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise TraceError(f"device {twice!r} comes twice")
