"""How faithfully the emulation held, over all clients, and whether its numbers may be trusted."""

from collections.abc import Iterator, Sequence
from statistics import median

from protocol.telemetry import Event, Json
from runs.settings import Bounds
from runs.values import items, number, table


def describe_fidelity(events: Sequence[Event], bounds: Bounds, rounds_s: float | None) -> Json:
    """Lateness is over all releases of all clients. Percentiles of percentiles do not exist: the
    rate error's `p50` is the median of the clients' medians, its `max` the worst's. An overrun
    lengthens a round by at most itself, so the worst client's are held against the rounds' time.
    `stable` is null where nothing was measured."""
    releases = sorted(_releases(events))
    worst_ms = max(_column(events, "lateness_ms", "max"), default=None)
    rate = {key: _column(events, "rate_error", key) for key in ("p50", "max")}
    overruns = [s for s in (number(e.notes, "overrun_s") for e in events) if s is not None]
    late_jobs = [n for n in (number(e.notes, "late_jobs") for e in events) if n is not None]
    p99, p50 = _quantile(releases, 0.99), _median(rate["p50"])
    worst_rate, overrun_s = max(rate["max"], default=None), max(overruns, default=None)
    share = overrun_s / rounds_s if overrun_s is not None and rounds_s else None
    broken: list[Json] = [
        f"{name} {value:.3g} above {bound:g}"
        for name, value, bound in (
            ("lateness p99 in ms", p99, bounds.lateness_p99_ms),
            ("rate error p50", p50, bounds.rate_error_p50),
            ("rate error max", worst_rate, bounds.rate_error_max),
            ("overrun share", share, bounds.overrun_share),
        )
        if value is not None and value > bound
    ]
    measured = any(value is not None for value in (p99, p50, worst_rate, share))
    return {
        "lateness_ms": {
            "p50": _quantile(releases, 0.5),
            "p99": p99,
            "max": worst_ms,
        },
        "rate_error": {"p50": p50, "max": worst_rate},
        "overrun_s": overrun_s,
        "overrun_share": share,
        "late_jobs": int(sum(late_jobs)) if late_jobs else None,
        "stable": not broken if measured else None,
        "broken": broken,
    }


def _releases(events: Sequence[Event]) -> Iterator[tuple[float, float]]:
    """(at most so many ms late, how many) of every client."""
    for event in events:
        for bin_ in items(event.notes, "releases"):
            if isinstance(bin_, list | tuple) and len(bin_) == 2:
                late_ms, count = bin_
                if isinstance(late_ms, int | float) and isinstance(count, int | float):
                    yield late_ms, count


def _quantile(releases: Sequence[tuple[float, float]], share: float) -> float | None:
    """`releases` ascending. The upper edge of the bin in which the quantile lies."""
    rank, seen = share * sum(count for _, count in releases), 0.0
    for late_ms, count in releases:
        seen += count
        if seen >= rank:
            return late_ms
    return None


def _column(events: Sequence[Event], group: str, key: str) -> list[float]:
    values = (number(table(event.notes, group), key) for event in events)
    return [value for value in values if value is not None]


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None
