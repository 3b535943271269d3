"""The live view: frames from a status, and nothing else."""

import asyncio
import io
from pathlib import Path

import pytest
from rich.console import Console

from commands.live import SHOWN, shown, view
from coordinator.status import Status, Transfer
from profiles import Fleet, load_fleet

FLEET = load_fleet("mixed-20")


def frame(status: Status, fleet: Fleet = FLEET) -> list[str]:
    console = Console(file=io.StringIO(), width=100, force_terminal=False)
    with console.capture() as captured:
        console.print(view(status, fleet))
    return [line.rstrip() for line in captured.get().splitlines()]


def test_before_the_first_round() -> None:
    assert frame(Status(6, joined=3)) == ["waiting for workers: 3 of 20 are ready"]


def test_nobody_is_waited_for() -> None:
    status = Status(6, round=2, phase="evaluate")
    assert frame(status) == ["round 2 of 6   evaluate"]
    status.last_metric = 0.91234
    assert frame(status) == ["round 2 of 6   evaluate   metric 0.912"]


def test_who_is_waited_for_and_what_each_is_doing() -> None:
    status = Status(6, round=1, phase="collect")
    status.enter("collect", {19, 3, 7})
    status.downloads[7] = Transfer(25, 100)
    status.uploads[3] = Transfer(100, 100)
    head, count, *rows = frame(status)
    assert head == "round 1 of 6   collect"
    assert count == "waiting for 3:"
    assert [row.split()[0] for row in rows] == ["3", "7", "19"]
    for row, client, doing in zip(
        rows, (3, 7, 19), ("uploads", "downloads", "trains"), strict=True
    ):
        assert FLEET.members[client].device.name in row
        assert FLEET.members[client].network.name in row
        assert doing in row
    assert rows[0].count("━") == 24
    assert 0 < rows[1].count("━") <= 24
    assert "━" not in rows[2]


def test_in_an_exchange_of_messages_nobody_trains() -> None:
    status = Status(6, round=1)
    status.enter("keys", {0})
    assert "trains" not in "\n".join(frame(status))


def test_a_large_fleet_is_counted() -> None:
    status = Status(6, round=1)
    status.enter("collect", set(range(20)))
    lines = frame(status)
    assert len(lines) == 2 + SHOWN + 1
    assert lines[-1].strip() == f"and {20 - SHOWN} more"


def test_an_upload_of_nothing_is_drawn() -> None:
    status = Status(6, round=1)
    status.enter("collect", {0})
    status.uploads[0] = Transfer(0, 0)
    assert len(frame(status)) == 3


async def test_without_a_terminal_a_line_a_round(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status = Status(2)
    told = ""
    async with shown(status, FLEET), asyncio.timeout(30):
        for round_, line in ((0, "waiting for workers"), (1, "round 1 of 2")):
            status.round = round_
            while line not in told:
                await asyncio.sleep(0.01)
                told += capsys.readouterr().err
        status.round, status.last_metric = 2, 0.5
        while "round 2" not in told:
            await asyncio.sleep(0.01)
            told += capsys.readouterr().err
    assert told == "waiting for workers\nround 1 of 2\nround 2 of 2, metric 0.500\n"
