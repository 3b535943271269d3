"""What work costs on an emulated device: seconds for each operation, times how many.

A tally is any mapping from the name of an operation to its count; what the operations are is not
known here.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

K = TypeVar("K", bound=str)


class PaceError(ValueError):
    """A pace or a tally that makes no sense."""


class Pace:
    """Seconds per operation of one device."""

    def __init__(self, seconds_per_operation: Mapping[K, float]) -> None:
        for operation, seconds in seconds_per_operation.items():
            if not (math.isfinite(seconds) and seconds >= 0):
                raise PaceError(f"{operation}: seconds must be finite and >= 0, not {seconds}")
        self._seconds: dict[str, float] = {str(k): v for k, v in seconds_per_operation.items()}

    def seconds(self, tally: Mapping[K, float]) -> float:
        """What this much work takes. An operation the device has no figure for is an error: a
        missing one must not pass for free."""
        total_s = 0.0
        for operation, count in tally.items():
            if operation not in self._seconds:
                raise PaceError(f"{operation}: the device has no seconds for this operation")
            if not (math.isfinite(count) and count >= 0):
                raise PaceError(f"{operation}: a count must be finite and >= 0, not {count}")
            total_s += count * self._seconds[operation]
        return total_s


class Speed(Protocol):
    """How fast a device is over time, relative to its pace (`netem.playback.Integral` is one)."""

    def finish_s(self, amount: float, start_s: float) -> float:
        """When work of so many seconds at full pace is done that begins then; `inf` if never."""
        ...


@dataclass(frozen=True, slots=True)
class FullSpeed:
    """Always as fast as its pace; every second lasts `time_scale`."""

    time_scale: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.time_scale) and self.time_scale > 0):
            raise PaceError(f"time_scale must be positive and finite, not {self.time_scale}")

    def finish_s(self, amount: float, start_s: float) -> float:
        return start_s + amount * self.time_scale
