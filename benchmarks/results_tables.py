"""The tables and plots of one study on the results page, as Markdown lines."""

from collections.abc import Iterator, Sequence
from statistics import median

from benchmarks.results_measured import Metric, Played, Spread, Study, spread
from benchmarks.results_plots import bars, lines
from benchmarks.results_words import (
    Rows,
    axes,
    axis_words,
    changed,
    figure,
    markdown,
    metric_of,
    percent,
    varies,
)
from runs.svg import Chart
from runs.values import number

PHASES = ("keys", "shares", "download", "fit", "mask", "upload", "waiting", "unmask")
PUBLISHED = (0.109, 0.316)
"""Round-time reduction by compute-aware dropout (a summary of arXiv 2510.16694 by others)."""


def of_study(study: Study) -> list[str]:
    rows = study.rows()
    names = [axis for axis in study.grid.axes if varies(study, axis)]
    found = [*_main(study, rows, names), ""]
    if any(run.metric is not None for runs in rows.values() for run in runs):
        found += [*_metrics(study, rows, names), ""]
        found += [*_stragglers(study, rows), ""]
    if study.name.startswith("clip-") and varies(study, "strategy"):
        found += [*_phases(study, rows), ""]
    return found


def charts(study: Study) -> Iterator[tuple[str, Chart]]:
    rows = {key: runs for key, runs in study.rows().items() if _saved(runs)}
    if study.name.startswith("clip-"):
        found = [(" · ".join(axis_words(study, key)), _saved(runs)) for key, runs in rows.items()]
        told = [(name, value) for name, value in found if value and value.mean]
        if told:
            title = "Round time saved against none; shaded: published for compute-aware dropout"
            yield study.name, bars(title, "share of the round time", told, PUBLISHED)
    elif study.name == "severity":
        yield study.name, _severity(study, rows)


def _severity(study: Study, rows: Rows) -> Chart:
    series: dict[str, list[tuple[float, float]]] = {}
    at = list(study.grid.axes)
    for key, runs in rows.items():
        strategy, fleet = key[at.index("strategy")], str(key[at.index("profile")])
        factor, saved = float(fleet.split("-")[1]), _saved(runs)
        if saved and strategy != "none":
            series.setdefault(str(strategy), []).append((factor, saved.mean))
        bound = spread([run.bound for run in runs])
        if bound and strategy == "none":
            series.setdefault("bound", []).append((factor, bound.mean))
    words = ("times slower than the others", "share of the round time saved")
    return lines("Round time saved against the severity of stragglers", words, series)


def _main(study: Study, rows: Rows, names: Sequence[str]) -> list[str]:
    head = [
        *names,
        "seeds",
        "round, s",
        f"saved against {study.baseline[1]}",
        "bound",
        "keep ratio",
        "MB a round up, down",
    ]
    body = []
    for key, runs in rows.items():
        up, down = (_bytes(runs, way) for way in ("up", "down"))
        body.append(
            [
                *axis_words(study, key),
                str(len(runs)),
                figure(spread([run.round_s for run in runs]), 2),
                percent(_saved(runs)),
                percent(spread([run.bound for run in runs])),
                _keeps(runs),
                f"{up}, {down}",
            ]
        )
    return markdown(head, body)


def _metrics(study: Study, rows: Rows, names: Sequence[str]) -> list[str]:
    metric = metric_of(rows)
    change = f"change, {metric.of_changes}"
    head = [*names, metric.name, change, "on the stragglers' labels", change]
    head += ["target reached", "seconds to it"]
    body = []
    for key, runs in rows.items():
        reached = [_reached(run, metric) for run in runs]
        known = [value for value in reached if value is not None]
        body.append(
            [
                *axis_words(study, key),
                figure(spread([run.metric for run in runs]), 3),
                changed(metric, spread([run.metric_change for run in runs])),
                figure(spread([run.own_metric(run.stragglers) for run in runs]), 3),
                changed(metric, spread([run.own_change(run.stragglers) for run in runs])),
                f"{len(known)} of {len(runs)}",
                figure(spread(reached), 1),
            ]
        )
    return markdown(head, body)


def _reached(run: Played, metric: Metric) -> float | None:
    """Seconds until 0.95 of the baseline's final metric of the same seed."""
    final = (run.base or {}).get("metric")
    goal = number(final, "final") if isinstance(final, dict) else None
    curve = run.summary["curve"]
    if goal is None or not isinstance(curve, list):
        return None
    target = metric.target(goal)
    for point in curve:
        value = number(point, "metric")
        if value is not None and metric.reaches(value, target):
            return number(point, "elapsed_s")
    return None


def _stragglers(study: Study, rows: Rows) -> list[str]:
    """How much of its model each straggler left out, and what became of its own metric."""
    metric = metric_of(rows)
    says = f"straggler: left out, change on its own labels ({metric.of_changes})"
    head = [*axes(study), "seed", says]
    body = []
    for key, runs in rows.items():
        for run in runs:
            told = []
            for client in run.stragglers:
                keep, change = run.keep_ratio(client), run.own_change([client])
                if keep is not None and keep < 1 and change is not None:
                    told.append(f"{client}: {1 - keep:.0%}, {metric.change(change):+.1f}")
            if told:
                body.append([*axis_words(study, key), str(run.cell.settings.seed), "; ".join(told)])
    return markdown(head, body) if body else []


def _phases(study: Study, rows: Rows) -> list[str]:
    head = [*axes(study), *(f"{phase}, s" for phase in PHASES), "idle", "waits for a straggler"]
    head.append("prediction off by")
    body = []
    for key, runs in rows.items():
        errors = [abs(error) for run in runs for error in run.prediction_errors()]
        phases = [spread([number(run.phase_s, phase) for run in runs]) for phase in PHASES]
        body.append(
            [
                *axis_words(study, key),
                *(figure(Spread(p.mean, None, p.count) if p else None, 2) for p in phases),
                percent(spread([run.idle_share for run in runs])),
                percent(spread([run.critical_share(run.stragglers) for run in runs])),
                f"{median(errors):.1%}, at most {max(errors):.1%}" if errors else "–",
            ]
        )
    return markdown(head, body)


def _saved(runs: Sequence[Played]) -> Spread | None:
    return spread([run.saved for run in runs])


def _keeps(runs: Sequence[Played]) -> str:
    ratios = [run.keep_ratio(client) for run in runs for client in run.stragglers]
    known = [ratio for ratio in ratios if ratio is not None]
    return f"{min(known):.2f}–{max(known):.2f}" if known else "–"


def _bytes(runs: Sequence[Played], way: str) -> str:
    totals = []
    for run in runs:
        counted, rounds = run.summary["bytes"], run.summary["rounds"]
        sent = number(counted, way) if isinstance(counted, dict) else None
        totals.append(sent / rounds / 1e6 if sent and isinstance(rounds, int) and rounds else None)
    return figure(spread(totals), 2)
