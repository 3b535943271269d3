"""Several runs side by side: what a strategy or an aggregation gains over the baseline.

Refuses runs whose settings differ in more than strategy, aggregation, seed and what is compared on
purpose. Round times are those of the rounds after warm-up; totals stand beside them. Knows no
terminal.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import stdev
from typing import TypeVar

from protocol.telemetry import Json
from runs.analysis import summarise_run
from runs.comparable import check_comparable, differing_hosts
from runs.errors import ComparisonError
from runs.loading import LoadedRun, load_config, load_summary
from runs.reading import cautions
from runs.records import SCHEMA, plain
from runs.settings import RunSettings, read_settings
from runs.summary import time_to
from runs.values import flag, items, mean, number, table, whole

TARGET_SHARE = 0.95
"""Without a given target: this share of the baseline's best final metric (our choice)."""


_Run = TypeVar("_Run")


@dataclass(frozen=True, slots=True)
class Kind:
    """What a row of the table is about; the seed is what it is averaged over."""

    strategy: str | None
    aggregation: str | None
    fleet: str | None
    settings: tuple[tuple[str, Json], ...] = ()
    """Of the other settings that are compared, in their order."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run, as far as comparison goes: small, whatever the run was."""

    name: str
    config: Mapping[str, object]
    settings: RunSettings
    summary: Mapping[str, Json]

    def kind(self, axes: Sequence[str]) -> Kind:
        chosen = table(self.config, "run")
        others = tuple((axis, plain(chosen.get(axis))) for axis in axes if axis != "profile")
        settings = self.settings
        return Kind(settings.strategy, settings.aggregation, settings.fleet, others)

    @property
    def round_s(self) -> float | None:
        return number(table(self.summary, "round_s"), "mean")

    def of_metric(self, key: str) -> float | None:
        return number(table(self.summary, "metric"), key)

    def reached(self, target: float | None) -> Mapping[str, object]:
        curve = [point for point in items(self.summary, "curve") if isinstance(point, Mapping)]
        return table({"t": time_to(self.settings, curve, target)}, "t")


Seeds = dict[int | None, Measured]
Groups = Mapping[Kind, Seeds]


def compare(
    runs: Sequence[LoadedRun], baseline: str | None = None, target: float | None = None
) -> dict[str, Json]:
    """`baseline`: a strategy; without it the first run's. Of several aggregations under that
    strategy, the first run's is the baseline. `target`: a value of the metric."""
    check_comparable((run.path.name, run.config) for run in _some(runs))
    return tabulate([_measure(run) for run in runs], (), baseline, target)


def tabulate(
    runs: Sequence[Measured],
    axes: Sequence[str],
    baseline: str | None = None,
    target: float | None = None,
) -> dict[str, Json]:
    """The comparison of runs that also differ in these settings. The baseline is the first kind
    of each fleet: other fleets' round times say nothing of a strategy."""
    check_comparable(((run.name, run.config) for run in _some(runs)), axes)
    groups = _grouped(runs, axes)
    fleets = list(dict.fromkeys(kind.fleet for kind in groups))
    first = _baseline(groups, baseline, fleets[0])
    _, told = _target(groups[first].values(), target)
    settings = runs[0].settings
    return {
        "schema": SCHEMA,
        "baseline": _said(first),
        "task": settings.task,
        "fleet": settings.fleet if len(fleets) == 1 else None,
        "fleets": list(fleets),
        "clock": settings.clock,
        "net": settings.net,
        "metric": settings.metric,
        "metric_unit": settings.metric_unit,
        "lower_is_better": settings.lower_is_better,
        "target": told,
        "round_s_over": "rounds after warm-up",
        "notes": [
            *sorted({said for run in runs for said in cautions(run.summary)}),
            *differing_hosts(run.config for run in runs),
            *_unfinished(runs),
        ],
        "rows": [row for fleet in fleets for row in _rows(groups, fleet, baseline, target)],
    }


def _some(runs: Sequence[_Run]) -> Sequence[_Run]:
    if not runs:
        raise ComparisonError("nothing to compare: no runs given")
    return runs


def _grouped(runs: Sequence[Measured], axes: Sequence[str]) -> Groups:
    groups: dict[Kind, Seeds] = {}
    for run in runs:
        group = groups.setdefault(run.kind(axes), {})
        if run.settings.seed in group:
            other = group[run.settings.seed].name
            raise ComparisonError(f"{run.name}: same strategy, aggregation and seed as {other}")
        group[run.settings.seed] = run
    return groups


def _rows(
    groups: Groups, fleet: str | None, baseline: str | None, target: float | None
) -> Iterable[Json]:
    base = _baseline(groups, baseline, fleet)
    goal, _ = _target(groups[base].values(), target)
    mine = [kind for kind in groups if kind.fleet == fleet and kind != base]
    for kind in (base, *mine):
        yield _row(kind, groups[kind], groups[base], goal)


def _said(kind: Kind) -> dict[str, Json]:
    said: dict[str, Json] = {"strategy": kind.strategy, "aggregation": kind.aggregation}
    return said | ({"settings": dict(kind.settings)} if kind.settings else {})


def _unfinished(runs: Sequence[Measured]) -> Iterable[str]:
    for run in runs:
        if run.summary["status"] != "finished":
            rounds = f"{run.summary['rounds']} of {run.settings.rounds} rounds"
            yield f"{run.name} {run.summary['status']} after {rounds}"


def _measure(run: LoadedRun) -> Measured:
    ledger, summary = summarise_run(run)
    return Measured(run.path.name, run.config, ledger.settings, summary)


def read_measured(path: Path) -> Measured:
    """Of a finished run, by what its folder says of it. Raises RunFolderError."""
    config = load_config(path)
    return Measured(path.name, config, read_settings(config), load_summary(path))


def _baseline(groups: Groups, strategy: str | None, fleet: str | None) -> Kind:
    for kind in groups:
        if strategy in (None, kind.strategy) and kind.fleet == fleet:
            return kind
    raise ComparisonError(f"baseline {strategy!r} is not among the runs")


def _target(runs: Iterable[Measured], given: float | None) -> tuple[float | None, dict[str, Json]]:
    """The metric to reach, and that with the rule that gave it."""
    found = [(run, run.of_metric("final")) for run in runs]
    finals = [value for _, value in found if value is not None]
    goal, rule = given, "given"
    if given is None and not finals:
        rule = "no metric was measured"
    elif given is None:
        settings = found[0][0].settings
        best = settings.best(finals) or 0.0
        lower = settings.lower_is_better
        goal = best / TARGET_SHARE if lower else best * TARGET_SHARE
        rule = f"{TARGET_SHARE} × the baseline's best final"
        rule = f"baseline's best final / {TARGET_SHARE}" if lower else rule
    return goal, {"metric": goal, "rule": rule}


def _row(kind: Kind, runs: Seeds, base: Seeds, target: float | None) -> Json:
    mine = list(runs.values())
    reached = [run.reached(target) for run in mine]
    return {
        "strategy": kind.strategy,
        "aggregation": kind.aggregation,
        "fleet": kind.fleet,
        "settings": dict(kind.settings),
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
            "metric": target,
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
    """Of the same seed's baseline: `saved` is the share of its round time, `factor` the ratio,
    `change_s` own round time less the baseline's. Paired, so that what a seed does to both (its
    stragglers, its data) is in none of the spreads."""
    pairs = [
        (run.round_s, base[seed].round_s)
        for seed, run in sorted(runs.items(), key=str)
        if seed in base
    ]
    known = [(own, other) for own, other in pairs if own and other]
    return {
        "saved": spread([1 - own / other for own, other in known]),
        "factor": spread([other / own for own, other in known]),
        "change_s": spread([own - other for own, other in known]),
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
