"""A record played again in step with something else than the clock: what follows a trace reads it
by so many seconds ahead, and somebody moves that lead from time to time.

While the lead is 0 everything is computed exactly as without it, to the last bit. Pure; knows
neither rounds nor devices.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from netem.capacity import Capacity, Wire
from netem.impairment import Course, Variation
from netem.pace import Speed
from netem.presence import Presence


@dataclass(slots=True)
class Alignment:
    """How far the record is ahead of the clock, in the record's own seconds."""

    lead_s: float = 0.0
    on_move: list[Callable[[], None]] = field(default_factory=list)
    """Who waits for an instant of the record and must look anew."""

    def align(self, position_s: float, clock_s: float) -> None:
        """What the clock calls `clock_s`, counted from the record's beginning, is `position_s` of
        the record."""
        lead_s = position_s - clock_s
        if lead_s != self.lead_s:
            self.lead_s = lead_s
            for moved in self.on_move:
                moved()


@dataclass(frozen=True, slots=True)
class AlignedCapacity:
    """Implements `netem.capacity.Capacity`."""

    capacity: Capacity
    alignment: Alignment
    stretch: float = 1.0

    @property
    def bytes_per_s(self) -> float:
        return self.capacity.bytes_per_s

    @property
    def lead_s(self) -> float:
        return self.alignment.lead_s * self.stretch

    def carried_bytes(self, from_s: float, to_s: float) -> float:
        return self.capacity.carried_bytes(from_s + self.lead_s, to_s + self.lead_s)

    def scaled(self, time_scale: float) -> "AlignedCapacity":
        capacity = self.capacity.scaled(time_scale)
        return replace(self, capacity=capacity, stretch=self.stretch * time_scale)

    def wire(self) -> "AlignedWire":
        return AlignedWire(self)


class AlignedWire:
    """A wire goes forward only: where the record was moved, a new one begins."""

    def __init__(self, capacity: AlignedCapacity) -> None:
        self._capacity = capacity
        self._lead_s = capacity.lead_s
        self._wire: Wire = capacity.capacity.wire()

    def send(self, wire_bytes: float, start_s: float) -> float:
        lead_s = self._capacity.lead_s
        if lead_s != self._lead_s:
            self._lead_s, self._wire = lead_s, self._capacity.capacity.wire()
        return max(start_s, self._wire.send(wire_bytes, start_s + lead_s) - lead_s)


@dataclass(frozen=True, slots=True)
class AlignedSpeed:
    """Implements `netem.pace.Speed`."""

    speed: Speed
    alignment: Alignment
    stretch: float

    def finish_s(self, amount: float, start_s: float) -> float:
        lead_s = self.alignment.lead_s * self.stretch
        return max(start_s, self.speed.finish_s(amount, start_s + lead_s) - lead_s)


@dataclass(frozen=True, slots=True)
class AlignedVariation:
    """Implements `netem.impairment.Variation`, over one whose course may be asked anew."""

    variation: Variation
    alignment: Alignment
    stretch: float = 1.0

    @property
    def least_s(self) -> float:
        return self.variation.least_s

    def scaled(self, time_scale: float) -> "AlignedVariation":
        variation = self.variation.scaled(time_scale)
        return replace(self, variation=variation, stretch=self.stretch * time_scale)

    def course(self) -> "AlignedCourse":
        return AlignedCourse(self.variation.course(), self)


@dataclass(frozen=True, slots=True)
class AlignedCourse:
    course: Course
    of: AlignedVariation

    def extra_s(self, at_s: float) -> float:
        return self.course.extra_s(max(0.0, at_s + self.of.alignment.lead_s * self.of.stretch))


@dataclass(frozen=True, slots=True)
class AlignedPresence:
    """When a device is there; as `netem.presence.Presence`."""

    presence: Presence
    alignment: Alignment
    stretch: float

    def until_s(self, now_s: float) -> tuple[bool, float]:
        lead_s = self.alignment.lead_s * self.stretch
        there, until_s = self.presence.until_s(now_s + lead_s)
        return there, max(now_s, until_s - lead_s)
