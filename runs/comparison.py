"""Several runs side by side: what a strategy or an aggregation gains over the baseline.

Refuses runs whose settings differ in more than strategy, aggregation and seed. Round times are
those of the rounds after warm-up; totals stand beside them. Knows no terminal.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import stdev

from protocol.telemetry import Json
from runs.analysis import summarise_run
from runs.errors import ComparisonError
from runs.ledger import Ledger
from runs.loading import LoadedRun
from runs.records import SCHEMA
from runs.settings import RunSettings
from runs.summary import time_to
from runs.values import flag, mean, number, table, whole

MAY_DIFFER = frozenset(
    {
        "run.strategy",
        "run.aggregation",
        "run.seed",
        "run.name",
        "run.out",
        "run.resume",
        "strategy.name",
        "strategy.seed",
        "strategy_settings.seed",
    }
)
"""What is compared, and what only names a run."""
DESCRIBES = ("versions", "host", "commit", "created")
"""Where and with what a run was made; `notes` of the comparison says when they differ."""
OF_AGGREGATION = ("secure_aggregation", "run.adversary", "run.keys")
"""Follow from the aggregation: may differ between runs whose aggregation does."""
TARGET_SHARE = 0.95
"""Without a given target: this share of the baseline's best final metric (our choice)."""

Kind = tuple[str | None, str | None]
"""(strategy, aggregation)"""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run, as far as comparison goes."""

    name: str
    settings: RunSettings
    ledger: Ledger
    summary: Mapping[str, Json]

    @property
    def kind(self) -> Kind:
        return self.settings.strategy, self.settings.aggregation

    @property
    def round_s(self) -> float | None:
        return number(table(self.summary, "round_s"), "mean")

    def of_metric(self, key: str) -> float | None:
        return number(table(self.summary, "metric"), key)


def compare(
    runs: Sequence[LoadedRun], baseline: str | None = None, target: float | None = None
) -> dict[str, Json]:
    """`baseline`: a strategy; without it the first run's. Of several aggregations under that
    strategy, the first run's is the baseline. `target`: a value of the metric."""
    if not runs:
        raise ComparisonError("nothing to compare: no runs given")
    check_comparable(runs)
    measured = [_measure(run) for run in runs]
    groups: dict[Kind, dict[int | None, Measured]] = {}
    for run in measured:
        group = groups.setdefault(run.kind, {})
        if run.settings.seed in group:
            other = group[run.settings.seed].name
            raise ComparisonError(f"{run.name}: same strategy, aggregation and seed as {other}")
        group[run.settings.seed] = run
    base = _baseline(groups, baseline)
    rule = "given"
    if target is None:
        target, rule = _target(groups[base].values())
    ordered = [base, *(kind for kind in groups if kind != base)]
    return {
        "schema": SCHEMA,
        "baseline": {"strategy": base[0], "aggregation": base[1]},
        "task": measured[0].settings.task,
        "fleet": measured[0].settings.fleet,
        "clock": measured[0].settings.clock,
        "net": measured[0].settings.net,
        "metric": measured[0].settings.metric,
        "target": {"metric": target, "rule": rule},
        "round_s_over": "rounds after warm-up",
        "notes": [*_differing_hosts(runs), *_unfinished(measured)],
        "rows": [_row(kind, groups[kind], groups[base], target) for kind in ordered],
    }


def check_comparable(runs: Sequence[LoadedRun]) -> None:
    """Raises ComparisonError naming the first setting that differs and must not."""
    first, wanted = runs[0], flatten(runs[0].config)
    for run in runs[1:]:
        found = flatten(run.config)
        other_aggregation = found.get("run.aggregation") != wanted.get("run.aggregation")
        for key in sorted(wanted.keys() | found.keys()):
            if key in MAY_DIFFER or _is_under(key, DESCRIBES):
                continue
            if other_aggregation and _is_under(key, OF_AGGREGATION):
                continue
            if wanted.get(key) != found.get(key):
                raise ComparisonError(
                    f"{run.path.name} and {first.path.name} differ in {key}: "
                    f"{found.get(key)!r} and {wanted.get(key)!r}"
                )


def flatten(config: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Nested tables as dotted keys; lists of tables by position."""
    flat: dict[str, object] = {}
    for key, value in config.items():
        if isinstance(value, list | tuple):
            value = {str(index): entry for index, entry in enumerate(value)}
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        elif value is not None:
            flat[f"{prefix}{key}"] = value
    return flat


def _is_under(key: str, tables: Iterable[str]) -> bool:
    return any(key == table_ or key.startswith(f"{table_}.") for table_ in tables)


def _differing_hosts(runs: Sequence[LoadedRun]) -> Iterable[str]:
    flat = [flatten(run.config) for run in runs]
    for key in sorted({key for config in flat for key in config if _is_under(key, DESCRIBES)}):
        if len({str(config.get(key)) for config in flat}) > 1:
            yield f"runs differ in {key}"


def _unfinished(runs: Sequence[Measured]) -> Iterable[str]:
    for run in runs:
        if run.summary["status"] != "finished":
            rounds = f"{run.summary['rounds']} of {run.settings.rounds} rounds"
            yield f"{run.name} {run.summary['status']} after {rounds}"


def _measure(run: LoadedRun) -> Measured:
    ledger, summary = summarise_run(run)
    return Measured(run.path.name, ledger.settings, ledger, summary)


def _baseline(groups: Mapping[Kind, object], strategy: str | None) -> Kind:
    for kind in groups:
        if strategy in (None, kind[0]):
            return kind
    raise ComparisonError(f"baseline {strategy!r} is not among the runs")


def _target(runs: Iterable[Measured]) -> tuple[float | None, str]:
    found = [(run, run.of_metric("final")) for run in runs]
    finals = [value for _, value in found if value is not None]
    if not finals:
        return None, "no metric was measured"
    settings = found[0][0].settings
    best = settings.best(finals) or 0.0
    if settings.lower_is_better:
        return best / TARGET_SHARE, f"baseline's best final / {TARGET_SHARE}"
    return best * TARGET_SHARE, f"{TARGET_SHARE} × the baseline's best final"


def _row(
    kind: Kind,
    runs: Mapping[int | None, Measured],
    base: Mapping[int | None, Measured],
    target: float | None,
) -> Json:
    mine = list(runs.values())
    reached = [table({"t": time_to(r.settings, r.ledger.ordered(), target)}, "t") for r in mine]
    return {
        "strategy": kind[0],
        "aggregation": kind[1],
        "seeds": [run.settings.seed for run in mine],
        "round_s": spread([run.round_s for run in mine]),
        "warmup_round_s": spread([_warmup_s(run) for run in mine]),
        "total_s": spread([number(table(run.summary, "totals"), "rounds_s") for run in mine]),
        "speedup": _speedup(runs, base),
        "metric": {
            "name": mine[0].settings.metric,
            "final": spread([run.of_metric("final") for run in mine]),
            "best": spread([run.of_metric("best") for run in mine]),
            "final_change": spread(_changes(runs, base)),
        },
        "to_target": {
            "reached": sum(whole(found, "round") is not None for found in reached),
            "time_s": spread([number(found, "time_s") for found in reached]),
            "bytes": spread([number(found, "bytes") for found in reached]),
        },
        "bytes_per_round": {way: spread([_per_round(r, way) for r in mine]) for way in _WAYS},
        "stable": _all_stable(mine),
    }


_WAYS = ("up", "down")


def spread(values: Sequence[float | None]) -> Json:
    """Mean and sample standard deviation; null where fewer than one or two are known."""
    known = [value for value in values if value is not None]
    return {"mean": mean(known), "spread": stdev(known) if len(known) > 1 else None}


def _speedup(runs: Mapping[int | None, Measured], base: Mapping[int | None, Measured]) -> Json:
    """Of the same seed's baseline: `saved` is the share of its round time, `factor` the ratio."""
    pairs = [
        (run.round_s, base[seed].round_s)
        for seed, run in sorted(runs.items(), key=str)
        if seed in base
    ]
    known = [(own, other) for own, other in pairs if own and other]
    return {
        "saved": spread([1 - own / other for own, other in known]),
        "factor": spread([other / own for own, other in known]),
        "pairs": len(known),
    }


def _changes(
    runs: Mapping[int | None, Measured], base: Mapping[int | None, Measured]
) -> list[float | None]:
    changes: list[float | None] = []
    for seed, run in runs.items():
        own = run.of_metric("final")
        other = base[seed].of_metric("final") if seed in base else None
        changes.append(own - other if own is not None and other is not None else None)
    return changes


def _warmup_s(run: Measured) -> float | None:
    return number(table(table(run.summary, "warmup"), "round_s"), "mean")


def _per_round(run: Measured, way: str) -> float | None:
    total, rounds = number(table(run.summary, "bytes"), way), whole(run.summary, "rounds")
    return total / rounds if total is not None and rounds else None


def _all_stable(runs: Sequence[Measured]) -> bool | None:
    """False if any run was unstable; null if some was not measured."""
    verdicts = [flag(table(run.summary, "fidelity"), "stable") for run in runs]
    if False in verdicts:
        return False
    return None if None in verdicts else True
