"""What a replay shows beside the tables of its runs: the record, and who was a straggler where."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from commands.execution import Finished
from commands.study import Study
from commands.unrolled import planned
from profiles.trace import Rate, Steps
from protocol.telemetry import Json
from runs import words
from runs.errors import RunFolderError
from runs.loading import load_summary
from runs.values import items, number, table, text, whole


def stragglers(recorded: Path, replays: Sequence[Finished]) -> list[Json]:
    """A row for each client that was one in any of the runs: whether in the record (null: it did
    not end), and in each replay its time before and after its remedy (null: it was none)."""
    try:
        found: Mapping[str, object] = load_summary(recorded)
    except RunFolderError:
        found = {}
    of_record = _by_client(found)
    of_replays = {text(r.summary, "strategy") or "": _by_client(r.summary) for r in replays}
    clients = sorted({client for each in (of_record, *of_replays.values()) for client in each})
    rows: list[Json] = []
    for client in clients:
        named = [each[client] for each in (of_record, *of_replays.values()) if client in each]
        rows.append(
            {
                "client": client,
                "device": text(named[0], "device"),
                "network": text(named[0], "network"),
                "recorded": client in of_record if found else None,
                "replays": {s: _times(each.get(client)) for s, each in of_replays.items()},
            }
        )
    return rows


def _by_client(summary: Mapping[str, object]) -> dict[int, Mapping[str, object]]:
    listed = [each for each in items(summary, "stragglers") if isinstance(each, Mapping)]
    return {client: each for each in listed if (client := whole(each, "client")) is not None}


def _times(straggler: Mapping[str, object] | None) -> Json:
    if straggler is None:
        return None
    return {key: number(straggler, key) for key in ("before_s", "after_s")}


def print_stragglers(rows: Sequence[Json], console: Console) -> None:
    listed = [row for row in rows if isinstance(row, Mapping)]
    if not listed:
        console.print("no stragglers, neither recorded nor replayed")
        return
    shown = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False)
    for name in ("straggler", "device", "network", "recorded", *table(listed[0], "replays")):
        shown.add_column(name)
    for row in listed:
        recorded = {True: "yes", False: "-", None: "?"}[row["recorded"]]  # type: ignore[index]
        names = str(row["client"]), str(row["device"]), str(row["network"]), recorded
        shown.add_row(*names, *(_cell(each) for each in table(row, "replays").values()))
    console.print(shown)


def _cell(times: object) -> str:
    if not isinstance(times, Mapping):
        return "-"
    before_s, after_s = number(times, "before_s"), number(times, "after_s")
    return f"{words.seconds(before_s)} → {words.seconds(after_s)}"


def print_record(study: Study) -> None:
    """What each device is going to go through, on average, and when it is lost."""
    again = study.again
    if again is None:
        raise ValueError("not a replay")
    shown = Table(title=f"replay of {again.of}, by {again.by}", box=None, title_justify="left")
    for name in ("#", "device", "network"):
        shown.add_column(name, no_wrap=True)
    for name in ("up Mbit/s", "down Mbit/s", "pace", "rounds", "lost in"):
        shown.add_column(name, justify="right", no_wrap=True)
    for member in study.fleet.members:
        told = again.clients.get(member.index)
        names = str(member.index), member.device.name, member.network.name
        if told is None:
            shown.add_row(*names, "", "", "", "0", "not recorded")
            continue
        plan = planned(member, max(told.rounds.values(), default=1.0) + 1.0)
        up, down = told.over.up or plan.up, told.over.down or plan.down
        lost = ", ".join(f"{phase} of {round_}" for round_, phase in sorted(told.dropouts))
        figures = _mbit(up), _mbit(down), f"{_mean(told.over.pace or plan.pace):.3f}"
        shown.add_row(*names, *figures, str(len(told.rounds)), lost)
    Console().print(shown)


def _mbit(rate: Rate) -> str:
    return f"{rate.total() * 8e-6 / rate.end_s:.4g}"


def _mean(steps: Steps) -> float:
    return steps.total() / steps.end_s
