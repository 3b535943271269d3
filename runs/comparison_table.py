"""The comparison as a table for the terminal, at most 100 columns. Made from its JSON alone."""

from collections.abc import Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from protocol.telemetry import Json
from runs import words
from runs.values import flag, items, number, table, text

WIDTH = 100
Row = Mapping[str, object]
_NAMED_BY = ("strategy", "aggregation")
_OF_METRIC = ("final", "to target", "sent")
_COLUMNS = ("round, s", "saved, %", *_OF_METRIC, "a round")


def print_comparison(comparison: Mapping[str, Json], console: Console) -> None:
    console.print(comparison_table(comparison), width=min(console.width, WIDTH))


def comparison_table(comparison: Mapping[str, Json]) -> RenderableType:
    rows = [row for row in items(comparison, "rows") if isinstance(row, Mapping)]
    varying = _varying(rows)
    shown = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False)
    shown.add_column("", overflow="fold")
    columns = ["seeds"] if "seeds" in varying else []
    columns += [name for name in _COLUMNS if "metric" in varying or name not in _OF_METRIC]
    for name in columns:
        shown.add_column(name, justify="right", no_wrap=True)
    fleet: object = None
    for row in rows:
        first = row.get("fleet") != fleet or (fleet is None and row is rows[0])
        fleet = row.get("fleet")
        if first and "fleet" in varying:
            shown.add_row(Text(str(fleet), style="dim"))
        shown.add_row(*_cells(row, varying), style="bold" if first else "")
    return Group(_head(comparison, rows), Text(""), shown, Text(""), *_feet(comparison, rows))


def _varying(rows: Sequence[Row]) -> frozenset[str]:
    """What there is to say of single rows beside their settings: what they differ in (the rest is
    said once, above them), and a metric if any was measured."""
    told = ("fleet", "strategy", "aggregation")
    found = {key for key in told if len({text(row, key) for row in rows}) > 1}
    if len({_seeds(row) for row in rows}) > 1:
        found.add("seeds")
    if any(number(table(table(row, "metric"), "final"), "mean") is not None for row in rows):
        found.add("metric")
    return frozenset(found)


def _seeds(row: Row) -> int:
    return len(items(row, "seeds"))


def _head(comparison: Mapping[str, Json], rows: Sequence[Row]) -> Text:
    varying = _varying(rows)
    where = [text(comparison, "fleet") or "several fleets", text(comparison, "task")]
    where += [text(row, k) for row in rows[:1] for k in _NAMED_BY if k not in varying]
    if rows and "seeds" not in varying:
        count = _seeds(rows[0])
        where.append(f"{count} seeds" if count > 1 else "1 seed")
    clock, net = text(comparison, "clock"), text(comparison, "net")
    said = words.joined(*where, f"{clock} clock" if clock else None, f"{net} net" if net else None)
    return Text(said, style="bold")


def _cells(row: Row, varying: frozenset[str]) -> list[Text]:
    name = Text(_named(row, varying))
    if flag(row, "stable") is False:
        name.append(" UNSTABLE", style="bold red")
    return [
        name,
        *([Text(str(_seeds(row)))] if "seeds" in varying else []),
        _with_spread(table(row, "round_s"), 1, 2),
        _with_spread(table(table(row, "speedup"), "saved"), 100, 1),
        *(_of_metric(row) if "metric" in varying else []),
        Text(words.size(_both_ways(table(row, "bytes_per_round")))),
    ]


def _of_metric(row: Row) -> list[Text]:
    reached, total = table(row, "to_target"), _seeds(row)
    came = number(reached, "reached") or 0
    to_target = words.seconds(number(table(reached, "time_s"), "mean"))
    return [
        _with_spread(table(table(row, "metric"), "final"), 1, 3),
        Text(to_target + ("" if came == total else f" ({came:g}/{total})")),
        Text(words.size(number(table(reached, "bytes"), "mean"))),
    ]


def _named(row: Row, varying: frozenset[str]) -> str:
    chosen = [f"{key}={value}" for key, value in table(row, "settings").items()]
    return words.joined(*(text(row, key) for key in _NAMED_BY if key in varying), *chosen)


def _with_spread(found: Mapping[str, object], factor: float, digits: int) -> Text:
    mean, spread = number(found, "mean"), number(found, "spread")
    if mean is None:
        return Text(words.DASH)
    said = Text(f"{mean * factor:z.{digits}f}")
    if spread is not None:
        said.append(f" ±{spread * factor:.{digits}f}", style="dim")
    return said


def _both_ways(found: Mapping[str, object]) -> float | None:
    up = number(table(found, "up"), "mean")
    down = number(table(found, "down"), "mean")
    return None if up is None or down is None else up + down


def _feet(comparison: Mapping[str, Json], rows: Sequence[Row]) -> list[Text]:
    base, target = table(comparison, "baseline"), table(comparison, "target")
    name = _named(base, _varying(rows)) or "the first row"
    metric = words.metric(text(comparison, "metric") or "metric", text(comparison, "metric_unit"))
    lower = flag(comparison, "lower_is_better") or False
    measured = "metric" in _varying(rows)
    goal = f"{words.figure(number(target, 'metric'))} {text(comparison, 'metric') or ''}"
    several = len(items(comparison, "fleets")) > 1
    if several:
        name, goal = f"{name} in the same fleet", "each fleet's target"
    until = f"to target, sent: time and bytes until {goal}"
    feet = [
        f"round: mean of the {text(comparison, 'round_s_over')}",
        f"saved: of the round of {name}, same seed; ± standard deviation over seeds",
        *([f"final: {metric}; lower is better"] if lower else []),
        *([f"{until} ({text(target, 'rule')}), of the seeds that reach it"] if measured else []),
        *(str(note) for note in items(comparison, "notes")),
    ]
    if any(flag(row, "stable") is False for row in rows):
        feet.append("UNSTABLE: the emulation did not hold; figures not to be relied on")
    return [Text(foot, style="dim") for foot in feet]
