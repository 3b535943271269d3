"""How faithfully the emulation held, over all clients, and whether its numbers may be trusted.

The one place where that is decided, for a round and for a run.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from statistics import median

from protocol.telemetry import Event, Json
from runs.rows import RoundRow
from runs.settings import Bounds
from runs.values import items, number, table

_NAMED = 8
"""So many rounds or clients are named, the rest counted."""


def round_is_stable(round_s: float | None, late_s: float | None, bounds: Bounds) -> bool | None:
    """None where it is not known."""
    if round_s is None or late_s is None:
        return None
    return late_s <= bounds.round_late * round_s


def describe_fidelity(
    reports: Mapping[int | None, Event],
    rounds: Sequence[RoundRow],
    present: Collection[int],
    bounds: Bounds,
) -> Json:
    """`reports`: each client's last word on its fidelity. `present`: who came through the last
    round, and so ought to have one.

    Lateness is over all releases of all clients. Percentiles of percentiles do not exist: the
    rate error's `p50` is the median of the clients' medians, its `max` the worst's. `stable` is
    null where nothing was measured, or no round finished."""
    events = list(reports.values())
    releases = sorted(_releases(events))
    rate = {key: _column(events, "rate_error", key) for key in ("p50", "max")}
    overruns = [s for s in (number(e.notes, "overrun_s") for e in events) if s is not None]
    late_jobs = [n for n in (number(e.notes, "late_jobs") for e in events) if n is not None]
    p50, worst = _median(rate["p50"]), max(rate["max"], default=None)
    shares = _late_shares(rounds)
    silent = sorted(set(present) - reports.keys()) if events or shares else []
    measured = bool(shares or releases or rate["p50"] or overruns)
    broken: list[Json] = [
        *_broken_rounds(rounds, shares, bounds),
        *_above("rate error p50", p50, bounds.rate_error_p50),
        *_above("rate error max", worst, bounds.rate_error_max),
        *([f"no word on its fidelity from client {_listed(silent)}"] if silent else []),
    ]
    return {
        "lateness_ms": {
            "p50": _quantile(releases, 0.5),
            "p99": _quantile(releases, 0.99),
            "max": max(_column(events, "lateness_ms", "max"), default=None),
        },
        "rate_error": {"p50": p50, "max": worst},
        "round_late": {
            "p50": _median(list(shares.values())),
            "max": max(shares.values(), default=None),
        },
        "phase_late_s": _phase_lateness(rounds),
        "unstable_rounds": [row.round for row in rounds if row.stable is False],
        "unreported": list(silent),
        "overrun_s": max(overruns, default=None),
        "late_jobs": int(sum(late_jobs)) if late_jobs else None,
        "stable": not broken if measured and rounds else None,
        "broken": broken,
    }


def _late_shares(rounds: Sequence[RoundRow]) -> dict[int, float]:
    return {
        row.round: row.late_s / row.round_s
        for row in rounds
        if row.late_s is not None and row.round_s
    }


def _broken_rounds(
    rounds: Sequence[RoundRow], shares: Mapping[int, float], bounds: Bounds
) -> Iterator[str]:
    unstable = [row.round for row in rounds if row.stable is False]
    if unstable:
        worst = max(unstable, key=lambda round_: shares.get(round_, 0.0))
        yield (
            f"{len(unstable)} of {len(rounds)} rounds may be more than {bounds.round_late:.1%} too "
            f"long: {_listed(unstable)} (worst {worst}: {shares.get(worst, 0.0):.1%})"
        )


def _phase_lateness(rounds: Sequence[RoundRow]) -> dict[str, Json]:
    """Means over the rounds that say."""
    paths = [row.critical.late_s for row in rounds if row.critical.late_s]
    names = sorted({name for path in paths for name in path})
    return {name: sum(path.get(name, 0.0) for path in paths) / len(paths) for name in names}


def _above(name: str, value: float | None, bound: float) -> Iterator[str]:
    if value is not None and value > bound:
        yield f"{name} {value:.3g} above {bound:g}"


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:_NAMED]))
    return shown + (f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else "")


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
