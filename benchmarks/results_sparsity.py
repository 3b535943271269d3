"""Tables and plots of one study of sparse training, as Markdown lines."""

from collections.abc import Iterator, Sequence

from benchmarks import results_attacks, results_tables
from benchmarks.results_measured import Metric, Played, Spread, Study, spread
from benchmarks.results_plots import lines
from benchmarks.results_words import (
    Rows,
    axes,
    axis_words,
    changed,
    figure,
    markdown,
    metric_of,
    percent,
)
from runs.svg import Chart


def of_study(study: Study) -> list[str]:
    rows = study.rows()
    if not rows:
        return []
    attacks = results_attacks.of_runs([run.path for run in study.runs()])
    if study.baseline[0] != "sparsity":
        return [*results_tables.of_study(study), *_traffic(study, rows), "", *attacks]
    return [*_by_sparsity(study, rows), "", *_traffic(study, rows), "", *attacks]


def charts(study: Study) -> Iterator[tuple[str, Chart]]:
    rows = study.rows()
    if not rows or study.baseline[0] != "sparsity":
        return
    series: dict[str, list[tuple[float, float]]] = {}
    at = axes(study).index("sparsity")
    for key, runs in rows.items():
        words = axis_words(study, key)
        found = spread([run.metric for run in runs])
        if found:
            name = " · ".join(words[:at] + words[at + 1 :]) or study.name
            series.setdefault(name, []).append((float(words[at]), found.mean))
    metric = metric_of(rows)
    title = f"{metric.name} against the share of weights pruned"
    yield study.name, lines(title, ("sparsity", metric.name), series)


def _by_sparsity(study: Study, rows: Rows) -> list[str]:
    metric = metric_of(rows)
    head = [*axes(study), "seeds", metric.name, f"against dense, {metric.of_changes}"]
    head += ["within dense runs' spread", "round, s", "shorter than dense"]
    body = []
    for key, runs in rows.items():
        change = spread([run.metric_change for run in runs])
        body.append(
            [
                *axis_words(study, key),
                str(len(runs)),
                figure(spread([run.metric for run in runs]), 3),
                changed(metric, change),
                _within(metric, change, _dense(study, key, rows)),
                figure(spread([run.round_s for run in runs]), 2),
                percent(spread([run.saved for run in runs])),
            ]
        )
    return markdown(head, body)


def _dense(study: Study, key: tuple[object, ...], rows: Rows) -> Spread | None:
    """Of the metric of dense runs with the same settings otherwise."""
    at = list(study.grid.axes).index("sparsity")
    found: Sequence[Played] = rows.get((*key[:at], 0.0, *key[at + 1 :]), ())
    return spread([run.metric for run in found])


def _within(metric: Metric, change: Spread | None, dense: Spread | None) -> str:
    """Whether it is worse than dense by no more than dense runs of several seeds differ (their
    standard deviation)."""
    if change is None or dense is None or dense.deviation is None:
        return "–"
    worse = change.mean if metric.lower_is_better else -change.mean
    return "yes" if worse <= dense.deviation else "no"


def _traffic(study: Study, rows: Rows) -> list[str]:
    """What crosses the links, against the weights dense."""
    head = [*axes(study), "last upload of a client, of dense"]
    head += ["whole run: times fewer bytes, by the source's count", "really"]
    body = []
    for key, runs in rows.items():
        last = spread([run.last_upload for run in runs])
        if last is not None:
            counts = [
                figure(spread([run.times_fewer(count) for run in runs]), 2)
                for count in ("source_metric", "real")
            ]
            body.append([*axis_words(study, key), percent(last), *counts])
    return markdown(head, body) if body else []
