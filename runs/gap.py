"""One configuration under the wall clock and under the virtual one: how far apart, phase by phase.

Works on two summaries. The virtual run is exact by construction, so the gap is what the wall run's
host added: wake-ups, work that is not charged, the interpreter. Knows no terminal but through rich.
"""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from protocol.telemetry import Json
from runs import reading, words
from runs.records import SCHEMA
from runs.values import items, number, table

Summary = Mapping[str, Json]


def clock_gap(wall: Summary, virtual: Summary) -> dict[str, Json]:
    """`gap` is (wall − virtual) / virtual. Of the rounds, each with its own counterpart; of the
    phases, on the critical path, also in seconds, since a share of next to nothing says little."""
    real, exact = _rounds(wall), _rounds(virtual)
    both = sorted(real.keys() & exact.keys())
    gaps = [real[round_] / exact[round_] - 1 for round_ in both]
    phases = table(wall, "phase_s"), table(virtual, "phase_s")
    return {
        "schema": SCHEMA,
        "stable": reading.stable(wall),
        "rounds": [_compared(str(round_), real[round_], exact[round_]) for round_ in both],
        "round_gap": {
            "mean": sum(gaps) / len(gaps) if gaps else None,
            "max": max(gaps, key=abs) if gaps else None,
        },
        "phases": [
            _compared(name, number(phases[0], name) or 0.0, number(phases[1], name) or 0.0)
            for name in dict.fromkeys((*phases[1], *phases[0]))
        ],
    }


def _rounds(summary: Summary) -> dict[int, float]:
    found: dict[int, float] = {}
    for point in items(summary, "curve"):
        seconds = number(point, "round_s") if isinstance(point, Mapping) else None
        if isinstance(point, Mapping) and seconds:
            found[int(number(point, "round") or 0)] = seconds
    return found


def _compared(name: str, wall_s: float, virtual_s: float) -> dict[str, Json]:
    gap = wall_s / virtual_s - 1 if virtual_s > 0 else None
    return {"name": name, "wall_s": wall_s, "virtual_s": virtual_s, "gap": gap}


def gap_table(gap: Mapping[str, Json], title: str) -> RenderableType:
    """For a terminal of 80 columns."""
    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    shown.add_column("")
    for name in ("wall", "virtual", "difference", "gap"):
        shown.add_column(name, justify="right")
    _add_rows(shown, "round ", items(gap, "rounds"))
    shown.add_section()
    _add_rows(shown, "", items(gap, "phases"))
    of_rounds = table(gap, "round_gap")
    mean, worst = (words.share(number(of_rounds, key), 2) for key in ("mean", "max"))
    lines = [Text(f"Round time, wall against virtual: mean {mean}, worst {worst}")]
    if gap["stable"] is not True:
        said = "UNSTABLE: the wall run's host was too busy for its times to be believed"
        lines.append(Text(said, style="bold red"))
    return Group(Text(title, style="bold"), shown, *lines)


def _add_rows(shown: Table, prefix: str, rows: Sequence[object]) -> None:
    for row in rows:
        if isinstance(row, Mapping):
            wall_s, virtual_s = number(row, "wall_s") or 0.0, number(row, "virtual_s") or 0.0
            shown.add_row(
                f"{prefix}{row['name']}",
                words.seconds(wall_s),
                words.seconds(virtual_s),
                f"{(wall_s - virtual_s) * 1e3:+.1f} ms",
                words.share(number(row, "gap"), 2),
            )
