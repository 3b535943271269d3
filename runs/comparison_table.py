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
_COLUMNS = ("round, s", "saved, %", "final", "to target", "sent", "a round")


def print_comparison(comparison: Mapping[str, Json], console: Console) -> None:
    console.print(comparison_table(comparison), width=min(console.width, WIDTH))


def comparison_table(comparison: Mapping[str, Json]) -> RenderableType:
    rows = [row for row in items(comparison, "rows") if isinstance(row, Mapping)]
    varying = _varying(rows)
    shown = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False)
    shown.add_column("", overflow="fold")
    for name in (*(["seeds"] if "seeds" in varying else []), *_COLUMNS):
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
    """What rows differ in, beside settings; the rest is said once, above them."""
    told = ("fleet", "strategy", "aggregation")
    found = {key for key in told if len({text(row, key) for row in rows}) > 1}
    if len({_seeds(row) for row in rows}) > 1:
        found.add("seeds")
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
    metric, reached = table(row, "metric"), table(row, "to_target")
    name = Text(_named(row, varying))
    if flag(row, "stable") is False:
        name.append(" UNSTABLE", style="bold red")
    total = _seeds(row)
    came = number(reached, "reached") or 0
    return [
        name,
        *([Text(str(total))] if "seeds" in varying else []),
        _with_spread(table(row, "round_s"), 1, 2),
        _with_spread(table(table(row, "speedup"), "saved"), 100, 1),
        _with_spread(table(metric, "final"), 1, 3),
        Text(
            words.seconds(number(table(reached, "time_s"), "mean"))
            + ("" if came == total else f" ({came:g}/{total})")
        ),
        Text(words.size(number(table(reached, "bytes"), "mean"))),
        Text(words.size(_both_ways(table(row, "bytes_per_round")))),
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
    goal = f"{words.figure(number(target, 'metric'))} {text(comparison, 'metric') or ''}"
    several = len(items(comparison, "fleets")) > 1
    if several:
        name, goal = f"{name} in the same fleet", "each fleet's target"
    feet = [
        f"round: mean of the {text(comparison, 'round_s_over')}",
        f"saved: of the round of {name}, same seed; ± standard deviation over seeds",
        *([f"final: {metric}; lower is better"] if lower else []),
        f"to target, sent: time and bytes until {goal} ({text(target, 'rule')})",
        *(str(note) for note in items(comparison, "notes")),
    ]
    if any(flag(row, "stable") is False for row in rows):
        feet.append("UNSTABLE: the emulation did not hold; figures not to be relied on")
    return [Text(foot, style="dim") for foot in feet]
