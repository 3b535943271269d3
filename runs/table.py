"""The closing table: what a run amounts to, on one screen of at most 100 columns.

Made from the summary alone.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from runs import reading, words
from runs.phases import COLOUR
from runs.reading import Summary

WIDTH = 100
_BAR = 56
_SHOWN = 8
_NARROW = 58
"""Columns behind the headings in a terminal of 80."""


def print_closing_table(summary: Summary, console: Console, folder: Path | None = None) -> None:
    width = min(console.width, WIDTH)
    console.print(closing_table(summary, folder, narrow=width < WIDTH), width=width)


def closing_table(
    summary: Summary, folder: Path | None = None, *, narrow: bool = False
) -> RenderableType:
    """`narrow` fits 80 columns."""
    lines = Table.grid(padding=(0, 2), expand=False)
    lines.add_column(style="dim", no_wrap=True)
    lines.add_column(overflow="fold")
    lines.add_row("Round time", _marked(summary, reading.round_time(summary)))
    lines.add_row("Where it went", _phases(summary, 2 if narrow else 3))
    lines.add_row("Speed-up", _marked(summary, reading.speedup(summary)))
    lines.add_row("Stragglers", _stragglers(summary, narrow))
    lines.add_row(reading.metric_name(summary), reading.metric(summary))
    target = reading.target(summary)
    if target is not None:
        lines.add_row("To target", _marked(summary, target))
    lines.add_row("Traffic", reading.traffic(summary))
    sparsity = reading.sparsity(summary)
    if sparsity is not None:
        lines.add_row("Sparsity", sparsity)
    lines.add_row("Aggregation", reading.aggregation(summary))
    lines.add_row("Fidelity", _fidelity(summary))
    log = reading.event_log(summary)
    if log is not None:
        lines.add_row("Event log", Text(log, overflow="fold"))
    if folder is not None:
        lines.add_row("Folder", Text(f"{folder}  (open its report.html)", overflow="fold"))
    unstable = reading.stable(summary) is False
    return Panel(
        Group(*_head(summary), Text(""), lines),
        title=Text("UNSTABLE", style="bold red") if unstable else None,
        border_style="red" if unstable else "dim",
        box=box.ROUNDED,
        padding=(0, 2),
    )


def _head(summary: Summary) -> list[Text]:
    head = [Text(reading.headline(summary), style="bold"), Text(reading.setting(summary))]
    status, reason = summary["status"], summary["reason"]
    if status != "finished":
        head.append(Text(f"{status}: {reason or 'no reason given'}", style="bold yellow"))
    return head


def _marked(summary: Summary, line: str) -> Text:
    """A number from an unstable run never stands without the mark."""
    text = Text(line)
    if reading.stable(summary) is False:
        text = Text("UNSTABLE  ", style="bold red") + text
    return text


def _phases(summary: Summary, abreast: int) -> RenderableType:
    """A bar of shares, then the same in figures, so many to a line."""
    phases = reading.phase_shares(summary)
    if not phases:
        return "not measured"
    bar, cells = Text(), []
    widths = _apportion([part for _, _, part in phases], _BAR)
    for (name, mean_s, part), width in zip(phases, widths, strict=True):
        bar.append("█" * width, style=COLOUR[name])
        label = Text.assemble(("■ ", COLOUR[name]), name)
        cells.append((label, Text(words.seconds(mean_s)), Text(words.share(part, 0))))
    grid = Table.grid(padding=(0, 1))
    for _ in range(abreast):
        grid.add_column(no_wrap=True)
        grid.add_column(justify="right", no_wrap=True)
        grid.add_column(justify="right", no_wrap=True, style="dim", min_width=5)
    for start in range(0, len(cells), abreast):
        grid.add_row(*(cell for triple in cells[start : start + abreast] for cell in triple))
    return Group(bar, grid)


def _apportion(shares: list[float], cells: int) -> list[int]:
    """Whole cells that sum to `cells`: cumulative rounding loses and gains none."""
    edges, total = [0], 0.0
    for part in shares:
        total += part
        edges.append(round(total * cells))
    return [after - before for before, after in pairwise(edges)]


def _stragglers(summary: Summary, narrow: bool) -> RenderableType:
    rows = reading.straggler_rows(summary)
    if not rows:
        known = summary["stragglers_from"] != "not measured"
        return "none" if known else "not measured"
    columns = [name for name in reading.STRAGGLER_COLUMNS if not (narrow and name == "target")]
    listed = [dict(zip(reading.STRAGGLER_COLUMNS, row, strict=True)) for row in rows[:_SHOWN]]
    room = _room(columns, listed) if narrow else {"device": 16, "network": 10}
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False)
    for name in columns:
        right = name in reading.NUMERIC_COLUMNS
        table.add_column(name, justify="right" if right else "left", no_wrap=True)
    for cells in listed:
        table.add_row(*(_short(cells[name], room.get(name, 20)) for name in columns))
    if len(rows) <= _SHOWN:
        return table
    return Group(table, Text(f"and {len(rows) - _SHOWN} more", style="dim"))


def _room(columns: Sequence[str], listed: Sequence[Mapping[str, str]]) -> dict[str, int]:
    """What is left in a narrow terminal for names: devices whole if they can be, networks at least
    six letters."""

    def longest(name: str) -> int:
        return max(len(name), *(len(cells[name]) for cells in listed))

    figures = (name for name in columns if name not in ("device", "network"))
    left = _NARROW - 2 - sum(longest(name) + 1 for name in figures)
    device = max(6, min(longest("device"), left - 6))
    return {"device": device, "network": max(6, left - device)}


def _short(text: str, room: int) -> Text:
    return Text(text if len(text) <= room else f"{text[: room - 1]}…")


def _fidelity(summary: Summary) -> RenderableType:
    style = {True: "green", False: "bold red", None: "yellow"}[reading.stable(summary)]
    lines = [Text(reading.verdict(summary), style=style)]
    if reading.broken(summary):
        lines.append(Text(reading.broken(summary), style="red"))
    return Group(*lines, Padding(Text(reading.fidelity(summary)), 0))
