"""What attacks found, on a page: AUC with its interval against sparsity, a plot for each attack.

Made from the table's JSON alone; knows no run folder.
"""

from collections.abc import Mapping, Sequence

from runs import svg, words
from runs.plots import LINES
from runs.report import page
from runs.svg import BOTTOM, Chart, escape, nice_ticks
from runs.values import items, number, table, text

_APART = 0.03
"""Of a column's width, between the lines that share it."""

Column = Mapping[str, object]
Figures = dict[int, tuple[float, float, float]]
"""By column: value and interval."""


def attacks_html(found: Mapping[str, object]) -> str:
    blocks = [each for each in items(found, "blocks") if isinstance(each, Mapping)]
    return page(
        "Membership inference", "<h1>Membership inference</h1>" + "".join(map(_block, blocks))
    )


def _block(block: Mapping[str, object]) -> str:
    columns = [each for each in items(block, "columns") if isinstance(each, Mapping)]
    names = [text(block, key) for key in ("task", "strategy", "aggregation")]
    chosen = [f"{key}={value}" for key, value in table(block, "settings").items()]
    attacks = dict.fromkeys(str(row["attack"]) for column in columns for row in _rows(column))
    plots = "".join(f'<div class="card">{_plot(columns, attack)}</div>' for attack in attacks)
    said = "".join(f"<p>{escape(note)}</p>" for note in items(block, "remarks"))
    return f'<h2>{escape(words.joined(*names, *chosen))}</h2>{said}<div class="plots">{plots}</div>'


def _plot(columns: Sequence[Column], attack: str) -> str:
    lines: dict[str, Figures] = {}
    for index, column in enumerate(columns):
        for row in _rows(column):
            auc = table(row, "auc")
            value, low, high = (number(auc, key) for key in ("value", "low", "high"))
            known = value is not None and low is not None and high is not None
            # a difference of two areas is on a scale of its own
            if (
                row["attack"] == attack
                and known
                and not str(row["target"]).startswith("update less")
            ):
                whose = ", whose" if row["question"] == "whose" else ""
                lines.setdefault(f"{row['target']}{whose}", {})[index] = value, low, high  # type: ignore[assignment]
    every = [bound for line in lines.values() for figures in line.values() for bound in figures]
    chart = Chart(
        f"AUC by {attack}",
        [0, len(columns)],
        nice_ticks(max([0.6, *every]), bottom=min([0.5, *every])),
        "pruned",
        "AUC",
    )
    chart.y_axis()
    chart.x_axis(labels=False)
    for index, column in enumerate(columns):
        share = words.share(number(column, "sparsity"), 0)
        at = chart.x(index + 0.5)
        chart.text(at, chart.height - BOTTOM + 14, share, 'text-anchor="middle"')
    for number_, (name, line) in enumerate(lines.items()):
        _line(chart, (name, LINES[number_ % len(LINES)]), line, (number_ - len(lines) / 2) * _APART)
    entries = [(LINES[i % len(LINES)], name) for i, name in enumerate(lines)]
    return chart.render() + svg.legend(entries)


def _line(chart: Chart, said: tuple[str, str], line: Figures, aside: float) -> None:
    name, colour = said
    points = [(index + 0.5 + aside, value) for index, (value, _, _) in line.items()]
    tips = [f"{name}: {value:.3f} ({low:.3f} to {high:.3f})" for value, low, high in line.values()]
    chart.line(points, colour, tips)
    for (at, _), (_, low, high) in zip(points, line.values(), strict=True):
        chart.whisker(at, (low, high), colour)


def _rows(column: Column) -> list[Mapping[str, object]]:
    return [each for each in items(column, "rows") if isinstance(each, Mapping)]
