"""How far the emulation was from what was asked: the emulator measures its own error.

Three things can go wrong in a user-space emulator: it wakes late (lateness), it delivers at the
wrong rate (rate error), and the host computes more slowly than the emulated device (overrun).
All are recorded here, per device, in fixed memory, and added up to how long the device was held
up in all. What is still to be believed is decided elsewhere, where rounds are known. Knows nothing
of links or machines: they report to it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from netem.histogram import LogHistogram

BUSY_PERIOD_S = 1.0
"""A shorter busy period says more about one wake-up than about the rate, which is a matter of
the steady state: by how much its end was late is counted as such."""

_LATENESS_FLOOR_S = 1e-6
_RATE_ERROR_FLOOR = 1e-7


@dataclass(frozen=True, slots=True)
class Measured:
    """None where nothing was measured."""

    lateness_ms_p50: float | None
    lateness_ms_p99: float | None
    lateness_ms_max: float | None
    rate_error_p50: float | None
    rate_error_max: float | None
    rate_error: float | None
    """Of all busy periods together."""
    late_jobs: int
    overrun_s: float


class FidelityMeter:
    """Takes every release, busy period and job of one device (or, merged, of several)."""

    def __init__(self) -> None:
        self.late_s = 0.0
        """By how much, in all, the emulation has held up whoever waited for it."""
        self.restart()

    def restart(self) -> None:
        """Forget what was measured: what comes before the first round is not to be believed or
        doubted."""
        self._lateness = LogHistogram(_LATENESS_FLOOR_S)
        self._rate_errors = LogHistogram(_RATE_ERROR_FLOOR)
        self._asked_s = self._taken_s = 0.0
        self._overrun_s = 0.0
        self._late_jobs = 0

    def released(self, late_s: float) -> None:
        """Something that was due was handed over so many seconds late."""
        self._lateness.add(max(0.0, late_s))

    def held_up(self, late_s: float) -> None:
        """Somebody waited so much longer than the emulated device would have made it wait."""
        self.late_s += max(0.0, late_s)

    def busy(self, asked_s: float, taken_s: float) -> None:
        """A busy period that should have taken so long, at least `BUSY_PERIOD_S`, took so long.
        One that took less began late and made up for it: that is lateness, and counted as such.
        """
        taken_s = max(asked_s, taken_s)
        self._asked_s += asked_s
        self._taken_s += taken_s
        self._rate_errors.add(1 - asked_s / taken_s)

    def computed(self, overrun_s: float) -> None:
        """A job was done so much later than the device would have been (0: it was in time)."""
        if overrun_s > 0:
            self._overrun_s += overrun_s
            self._late_jobs += 1

    @classmethod
    def merged(cls, meters: Iterable["FidelityMeter"]) -> Self:
        """The meter of all these devices together."""
        result, meters = cls(), list(meters)
        result._lateness.merge(m._lateness for m in meters)
        result._rate_errors.merge(m._rate_errors for m in meters)
        result._asked_s = sum(m._asked_s for m in meters)
        result._taken_s = sum(m._taken_s for m in meters)
        result._overrun_s = sum(m._overrun_s for m in meters)
        result._late_jobs = sum(m._late_jobs for m in meters)
        return result

    def links_to_mapping(self) -> dict[str, Any]:
        """What the links did, for `add_links` of a meter in another process."""
        return {
            "lateness": self._lateness.to_mapping(),
            "rate_errors": self._rate_errors.to_mapping(),
            "busy_s": [self._asked_s, self._taken_s],
        }

    def add_links(self, measured: Mapping[str, Any]) -> None:
        self._lateness.add_mapping(measured["lateness"])
        self._rate_errors.add_mapping(measured["rate_errors"])
        asked_s, taken_s = measured["busy_s"]
        self._asked_s += asked_s
        self._taken_s += taken_s

    def lateness_ms(self) -> list[tuple[float, int]]:
        """How many releases were up to so many milliseconds late, bin by bin."""
        return [(late_s * 1e3, count) for late_s, count in self._lateness.counts()]

    def measured(self) -> Measured:
        lateness, errors = self._lateness, self._rate_errors
        return Measured(
            _in_ms(lateness.quantile(0.5)),
            _in_ms(lateness.quantile(0.99)),
            _in_ms(lateness.maximum),
            errors.quantile(0.5),
            errors.maximum,
            1 - self._asked_s / self._taken_s if self._taken_s else None,
            self._late_jobs,
            self._overrun_s,
        )


def _in_ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3


class BusyPeriod:
    """Measures the rate of one direction of a link over its busy periods: what came between the
    first and the last release of one took so long, and should have taken as long as lies between
    the instants at which they were due. So a delay or a rate that is meant to change is no error.
    """

    def __init__(self, meter: FidelityMeter) -> None:
        self._meter = meter
        self._first: tuple[float, float] | None = None
        self._last = (0.0, 0.0)

    def released(self, due_s: float, at_s: float, continues: bool) -> None:
        """`continues`: the link was not idle between the release before and this one."""
        if not continues or self._first is None:
            self.close()
            self._first = due_s, at_s
        self._last = due_s, at_s

    def close(self) -> None:
        """The period ended with the last release."""
        if self._first is not None:
            asked_s, taken_s = self._last[0] - self._first[0], self._last[1] - self._first[1]
            if asked_s >= BUSY_PERIOD_S and taken_s > 0:
                self._meter.busy(asked_s, taken_s)
        self._first = None
