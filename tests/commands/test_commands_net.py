"""Runs over packet links through the command line, and what is left of one that is killed."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from tests.commands.conftest import Command
from tests.commands.test_commands_run import QUICK, check_contract, heard, started, table
from tests.netem.namespaces import check_killed_without_trace, need_namespaces

Fleet = Callable[[int], str]


def test_a_run_over_packet_links(command: Command, fast_fleet: Fleet, tmp_path: Path) -> None:
    need_namespaces()
    out = tmp_path / "run"
    ended = command(
        *("--profile", fast_fleet(2), "--rounds", "2", *QUICK, "--net", "packet"),
        *("--out", str(out), "--json"),
    )
    assert ended.code == 0, ended.err
    summary = json.loads(ended.out)
    check_contract(summary, clients=2, rounds=2)
    assert summary["net"] == "packet"
    assert summary["fidelity"]["lateness_ms"]["p50"] is not None
    assert not re.search(r"Traceback|Error", ended.err)
    rows = table(out / "clients.csv")
    assert [row["client"] for row in rows] == ["0", "1", "0", "1"]
    assert all(int(row["bytes_up"]) > 1_000_000 for row in rows)


def test_nothing_is_left_of_a_run_that_was_killed(fast_fleet: Fleet, tmp_path: Path) -> None:
    """Nor of the processes that it had its workers in."""
    need_namespaces()
    out = tmp_path / "run"
    fleet = ("--profile", fast_fleet(2), "--rounds", "100000", "--out", str(out))
    placed = ("--set", "placement=processes", "--set", "processes=1", "--net", "packet")
    with started(*fleet, *QUICK, *placed) as process:
        heard(process, r"^round 1 of 100000")
        check_killed_without_trace(process.pid, namespaces=3)  # two devices' and the hub's
