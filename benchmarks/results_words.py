"""How a page of results says figures, and its tables in Markdown."""

from collections.abc import Mapping, Sequence

from benchmarks.results_measured import Metric, Played, Spread, Study

Rows = Mapping[tuple[object, ...], Sequence[Played]]
"""Runs of all seeds by the values of the axes."""


def axes(study: Study) -> list[str]:
    return [axis for axis in study.grid.axes if varies(study, axis)]


def varies(study: Study, axis: str) -> bool:
    return len(study.grid.axes[axis]) > 1


def axis_words(study: Study, key: tuple[object, ...]) -> list[str]:
    pairs = zip(study.grid.axes, key, strict=True)
    return [str(value) for axis, value in pairs if varies(study, axis)]


def metric_of(rows: Rows) -> Metric:
    return next(Metric.of(run.summary) for runs in rows.values() for run in runs)


def figure(value: Spread | None, digits: int) -> str:
    if value is None:
        return "–"
    around = "" if value.deviation is None else f" ± {value.deviation:.{digits}f}"
    return f"{value.mean:.{digits}f}{around}"


def percent(value: Spread | None) -> str:
    return "–" if value is None else figure(_times(value, 100), 1) + " %"


def changed(metric: Metric, value: Spread | None) -> str:
    if value is None:
        return "–"
    digits = 2 if metric.unit else 1
    around = "" if value.deviation is None else f" ± {metric.change(value.deviation):.{digits}f}"
    return f"{metric.change(value.mean):+.{digits}f}{around}"


def _times(value: Spread, by: float) -> Spread:
    deviation = None if value.deviation is None else value.deviation * by
    return Spread(value.mean * by, deviation, value.count)


def markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    return [
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(row) + " |" for row in body),
    ]
