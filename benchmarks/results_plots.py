"""Plots of the results page as SVG files that stand alone. Knows labels and values only."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.results_measured import Spread
from runs.svg import BOTTOM, RIGHT, TOP, Chart, escape, nice_ticks

STYLE = (
    "<style>svg{background:#fff;font:12px sans-serif}.grid{stroke:#ddd}.band{fill:#e8eef7}"
    ".label{fill:#333}.small{font-size:10px;fill:#555}</style>"
)
COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1")
ROW = 26


def save(chart: Chart, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {chart.width} {chart.height}" '
        f'width="{chart.width}" height="{chart.height}" role="img">{STYLE}'
        f"<title>{escape(chart.title)}</title>{''.join(chart.parts)}</svg>\n",
        encoding="utf-8",
    )


def bars(
    title: str, label: str, rows: Sequence[tuple[str, Spread]], band: tuple[float, float] | None
) -> Chart:
    """A horizontal bar a row, its spread as a line; `band`: a published range, shaded."""
    edges = [v for _, s in rows for v in (s.mean - (s.deviation or 0), s.mean + (s.deviation or 0))]
    top, bottom = max([0.0, *edges, *(band or ())]), min([0.0, *edges])
    height = TOP + ROW * len(rows) + BOTTOM
    chart = Chart(title, nice_ticks(top, bottom=bottom), [0, 1], label, height=height, left=210)
    if band:
        chart.band(chart.x(band[0]), chart.x(band[1]))
    chart.x_axis()
    for index, (name, value) in enumerate(rows):
        middle = TOP + ROW * (index + 0.5)
        ends = sorted((chart.x(0.0), chart.x(value.mean)))
        colour = COLOURS[index % len(COLOURS)]
        chart.rect((ends[0], ends[1]), (middle - 8, middle + 8), colour, f"{value.mean:.3g}")
        if value.deviation:
            low, high = chart.x(value.mean - value.deviation), chart.x(value.mean + value.deviation)
            chart.rect((low, high), (middle - 1, middle + 1), "#222", f"± {value.deviation:.2g}")
        chart.text(chart.left - 8, middle + 4, name, 'text-anchor="end"')
    return chart


def lines(
    title: str, labels: tuple[str, str], series: dict[str, list[tuple[float, float]]]
) -> Chart:
    """Lines by name, in data coordinates."""
    points = [point for found in series.values() for point in found]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    chart = Chart(
        title,
        nice_ticks(max(xs), bottom=min(xs)),
        nice_ticks(max(ys), bottom=min(0.0, *ys)),
        labels[0],
        labels[1],
        height=300,
    )
    chart.x_axis()
    chart.y_axis()
    for index, (name, found) in enumerate(series.items()):
        colour = COLOURS[index % len(COLOURS)]
        chart.line(found, colour, [f"{name}: {x:g}, {y:.3g}" for x, y in found])
        chart.text(
            chart.width - RIGHT - 4,
            TOP + 14 * (index + 1),
            name,
            f'text-anchor="end" style="fill:{colour}"',
        )
    return chart
