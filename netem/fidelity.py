"""How far the emulation was from what was asked: the emulator measures its own error.

Three things can go wrong in a user-space emulator: it wakes late (lateness), it delivers at the
wrong rate (rate error), and the host computes more slowly than the emulated device (overrun).
All are recorded here, per device, in fixed memory; `verdict` says whether a run may be believed.
Knows nothing of links or machines: they report to it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from netem.histogram import LogHistogram

MAX_LATENESS_P99_MS = 5.0
"""A release this late moves an arrival by a tenth of a 50 ms RTT: the smallest effect a round of
seconds could show. A healthy host stays below 1 ms."""
MAX_RATE_ERROR_P50 = 0.01
"""1 % of a transfer's time: below the differences between strategies that are to be seen (the
published ones begin at 13 %)."""
MAX_RATE_ERROR = 0.10
"""No busy period may be off by more than 10 %: 25 ms on the shortest that is counted, half an
RTT of 50 ms; one slow straggler sets a round's time."""
MAX_OVERRUN_SHARE = 0.02
"""Overruns in all, as a share of the compute time charged: they lengthen rounds one for one. A
sixth of the smallest effect published (13 %). Key agreements of a whole fleet that fall on one
instant overrun by about 1 % on two cores."""

BUSY_PERIOD_S = 0.25
"""A shorter busy period says more about one wake-up than about the rate: at 0.1 ms of lateness
the error of this one is 0.04 %."""

_LATENESS_FLOOR_S = 1e-6
_RATE_ERROR_FLOOR = 1e-7


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was measured; None where nothing was. `broken`: each bound that does not hold."""

    lateness_ms_p50: float | None
    lateness_ms_p99: float | None
    lateness_ms_max: float | None
    rate_error_p50: float | None
    rate_error_max: float | None
    late_jobs: int
    overrun_s: float
    broken: tuple[str, ...]

    @property
    def stable(self) -> bool:
        return not self.broken


class FidelityMeter:
    """Takes every release, busy period and job of one device (or, merged, of several)."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget what was measured: what comes before the first round is not to be believed or
        doubted."""
        self._lateness = LogHistogram(_LATENESS_FLOOR_S)
        self._rate_errors = LogHistogram(_RATE_ERROR_FLOOR)
        self._charged_s = 0.0
        self._overrun_s = 0.0
        self._late_jobs = 0

    def released(self, late_s: float) -> None:
        """Something that was due was handed over so many seconds late."""
        self._lateness.add(max(0.0, late_s))

    def busy(self, asked_s: float, taken_s: float) -> None:
        """A busy period that should have taken so long, at least `BUSY_PERIOD_S`, took so long."""
        self._rate_errors.add(abs(asked_s / taken_s - 1))

    def computed(self, charged_s: float, overrun_s: float) -> None:
        """A job that was charged so much took the host so much longer (0: it was in time)."""
        self._charged_s += charged_s
        if overrun_s > 0:
            self._overrun_s += overrun_s
            self._late_jobs += 1

    @classmethod
    def merged(cls, meters: Iterable["FidelityMeter"]) -> Self:
        """The meter of all these devices together."""
        result, meters = cls(), list(meters)
        result._lateness.merge(m._lateness for m in meters)
        result._rate_errors.merge(m._rate_errors for m in meters)
        result._charged_s = sum(m._charged_s for m in meters)
        result._overrun_s = sum(m._overrun_s for m in meters)
        result._late_jobs = sum(m._late_jobs for m in meters)
        return result

    def links_to_mapping(self) -> dict[str, Any]:
        """What the links did, for `add_links` of a meter in another process."""
        return {
            "lateness": self._lateness.to_mapping(),
            "rate_errors": self._rate_errors.to_mapping(),
        }

    def add_links(self, measured: Mapping[str, Any]) -> None:
        self._lateness.add_mapping(measured["lateness"])
        self._rate_errors.add_mapping(measured["rate_errors"])

    def lateness_ms(self) -> list[tuple[float, int]]:
        """How many releases were up to so many milliseconds late, bin by bin."""
        return [(late_s * 1e3, count) for late_s, count in self._lateness.counts()]

    def verdict(self) -> Verdict:
        lateness, errors = self._lateness, self._rate_errors
        p99_ms = _in_ms(lateness.quantile(0.99))
        p50, worst = errors.quantile(0.5), errors.maximum
        overrun_limit_s = MAX_OVERRUN_SHARE * self._charged_s
        bounds = (
            (p99_ms, MAX_LATENESS_P99_MS, "lateness p99 {0:.3g} ms > {1:g} ms"),
            (p50, MAX_RATE_ERROR_P50, "median rate error {0:.3g} > {1:g}"),
            (worst, MAX_RATE_ERROR, "worst rate error {0:.3g} > {1:g}"),
            (self._overrun_s, overrun_limit_s, "compute overran by {0:.3g} s > {1:.3g} s"),
        )
        broken = (text.format(v, limit) for v, limit, text in bounds if v is not None and v > limit)
        return Verdict(
            _in_ms(lateness.quantile(0.5)),
            p99_ms,
            _in_ms(lateness.maximum),
            p50,
            worst,
            self._late_jobs,
            self._overrun_s,
            tuple(broken),
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
