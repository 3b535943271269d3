"""The comparison as a table for the terminal, at most 100 columns. Made from its JSON alone."""

from collections.abc import Mapping

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from protocol.telemetry import Json
from runs import words
from runs.values import flag, items, number, table, text

WIDTH = 100
_COLUMNS = ("strategy", "seeds", "round", "shorter by", "final", "to target", "sent", "a round")


def print_comparison(comparison: Mapping[str, Json], console: Console) -> None:
    console.print(comparison_table(comparison), width=min(console.width, WIDTH))


def comparison_table(comparison: Mapping[str, Json]) -> RenderableType:
    rows = [row for row in items(comparison, "rows") if isinstance(row, Mapping)]
    shown = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False)
    for name in _COLUMNS:
        shown.add_column(name, justify="left" if name == "strategy" else "right")
    several = len(items(comparison, "fleets")) > 1
    fleet: object = None
    for row in rows:
        first = row.get("fleet") != fleet or (fleet is None and row is rows[0])
        fleet = row.get("fleet")
        shown.add_row(*_cells(row, several), style="bold" if first else "")
    return Group(_head(comparison), Text(""), shown, Text(""), *_feet(comparison, rows))


def _head(comparison: Mapping[str, Json]) -> Text:
    where = text(comparison, "fleet") or "several fleets", text(comparison, "task")
    clock, net = text(comparison, "clock"), text(comparison, "net")
    said = words.joined(*where, f"{clock} clock" if clock else None, f"{net} net" if net else None)
    return Text(said, style="bold")


def _cells(row: Mapping[str, object], with_fleet: bool) -> list[Text]:
    metric, reached = table(row, "metric"), table(row, "to_target")
    name = Text(_named(row, text(row, "fleet") if with_fleet else None))
    if flag(row, "stable") is False:
        name.append(" UNSTABLE", style="bold red")
    total = len(items(row, "seeds"))
    came = number(reached, "reached") or 0
    return [
        name,
        Text(str(total)),
        _with_spread(table(row, "round_s"), 1, " s"),
        _with_spread(table(table(row, "speedup"), "saved"), 100, " %"),
        _with_spread(table(metric, "final"), 1, ""),
        Text(
            words.seconds(number(table(reached, "time_s"), "mean"))
            + ("" if came == total else f" ({came:g}/{total})")
        ),
        Text(words.size(number(table(reached, "bytes"), "mean"))),
        Text(words.size(_both_ways(table(row, "bytes_per_round")))),
    ]


def _named(row: Mapping[str, object], fleet: str | None) -> str:
    chosen = [f"{key}={value}" for key, value in table(row, "settings").items()]
    return words.joined(fleet, text(row, "strategy"), text(row, "aggregation"), *chosen)


def _with_spread(found: Mapping[str, object], factor: float, unit: str) -> Text:
    mean, spread = number(found, "mean"), number(found, "spread")
    if mean is None:
        return Text(words.DASH)
    digits = 3 if unit == "" else 1 if factor == 100 else 2
    said = Text(f"{mean * factor:z.{digits}f}")
    if spread is not None:
        said.append(f" ±{spread * factor:.{digits}f}", style="dim")
    return said.append(unit)


def _both_ways(found: Mapping[str, object]) -> float | None:
    up = number(table(found, "up"), "mean")
    down = number(table(found, "down"), "mean")
    return None if up is None or down is None else up + down


def _feet(comparison: Mapping[str, Json], rows: list[Mapping[str, object]]) -> list[Text]:
    base, target = table(comparison, "baseline"), table(comparison, "target")
    name = _named(base, None)
    metric = words.metric(text(comparison, "metric") or "metric", text(comparison, "metric_unit"))
    lower = flag(comparison, "lower_is_better") or False
    goal = f"{words.figure(number(target, 'metric'))} {text(comparison, 'metric') or ''}"
    several = len(items(comparison, "fleets")) > 1
    if several:
        name, goal = f"{name} in the same fleet,", "each fleet's target"
    feet = [
        f"round: mean of the {text(comparison, 'round_s_over')}",
        f"shorter by: than {name} with the same seed; ± standard deviation over seeds",
        *([f"final: {metric}; lower is better"] if lower else []),
        f"to target, sent: time and bytes until {goal} ({text(target, 'rule')})",
        *(str(note) for note in items(comparison, "notes")),
    ]
    if any(flag(row, "stable") is False for row in rows):
        feet.append("UNSTABLE: the emulation did not hold; figures not to be relied on")
    return [Text(foot, style="dim") for foot in feet]
