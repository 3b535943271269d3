"""Runs that are gone through again: the same log under the same strategy, the same stragglers under
another; and what cannot be replayed says why."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from profiles.trace import Steps
from profiles.trace_reading import read_trace
from tests.commands.conftest import Command, one_line

MODELLED = ("--set", "crypto=modelled", "--set", "training=modelled")
FLEET = """title = "for tests"
[[members]]
count = 2
device = "pixel4"
network = "mobile-world"
[[members]]
count = 1
device = "pixel4"
network = "4g-ghent"
trace = { file = "driving", offset_s = 10, at_end = "loop" }
[[members]]
count = 1
device = "pixel3"
network = "mobile-world"
trace = { pace = "busy-phone" }
[[members]]
count = 1
device = "pixel4"
network = "fixed-world"
trace = { available = "comes-and-goes" }
"""
VIRTUAL = ("--clock", "virtual", *MODELLED, "--set", "warmup_rounds=1")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five phones of which one drives, one is used meanwhile and one comes and goes."""
    from commands.cli import main

    folder = tmp_path_factory.mktemp("recorded") / "run"
    fleet = folder.with_name("fleet.toml")
    fleet.write_text(FLEET)
    words = ("--profile", str(fleet), "--rounds", "4", "--record", "--out", str(folder))
    assert main((*words, *VIRTUAL)) == 0
    return folder


@pytest.fixture
def replay(command: Command, recorded: Path, tmp_path: Path) -> Callable[..., Any]:
    def play(*options: str) -> Any:  # noqa: ANN401
        ended = command("replay", str(recorded), "--out", str(tmp_path / "again"), *options)
        assert ended.code == 0, ended.err
        return ended

    return play


def test_under_its_own_strategy_a_virtual_run_has_the_same_log(
    recorded: Path, replay: Callable[..., Any], tmp_path: Path
) -> None:
    summary = json.loads(replay("--json").out)
    log = (recorded / "events.jsonl").read_bytes()
    assert (tmp_path / "again" / "events.jsonl").read_bytes() == log
    assert (
        json.loads((recorded / "summary.json").read_text())["events_sha256"]
        == (summary["events_sha256"])
    )
    assert b'"device_away"' in log, "a part of it is absence"
    assert summary["replay_of"] == str(recorded)


def test_the_closing_table_says_what_is_replayed(
    replay: Callable[..., Any], recorded: Path
) -> None:
    shown = "".join(replay("--rounds", "2").out.split())
    assert "".join(f"replay of {recorded}".split()) in shown.replace("│", "")


def test_the_record_says_what_each_device_went_through(recorded: Path) -> None:
    trace = read_trace(recorded / "record.trace")
    by_client = {int(each.device): each for each in trace.devices}
    assert sorted(by_client) == list(range(5))
    still, driving, used, comes_and_goes = (by_client[i] for i in (0, 2, 3, 4))
    assert [mark.round for mark in still.rounds] == [1, 2, 3, 4]
    assert isinstance(still.up, Steps)
    assert isinstance(driving.up, Steps)
    assert len(still.up.values) == 1 < len(driving.up.values)
    assert used.pace is not None
    assert len(used.pace.values) > 1
    assert still.dropouts == ()
    assert comes_and_goes.available is not None
    assert len(comes_and_goes.available.spans_s) > 1


def test_another_strategy_meets_the_same_stragglers(
    replay: Callable[..., Any], tmp_path: Path
) -> None:
    table = json.loads(replay("--strategy", "none,clip", "--rounds", "3", "--json").out)
    assert [row["strategy"] for row in table["rows"]] == ["none", "clip"]
    assert table["rows"][1]["speedup"]["pairs"] == 1
    named = table["stragglers"]
    assert named, "the phone in use, at least"
    assert all(row["recorded"] and row["replays"]["clip"] for row in named)
    assert {path.name for path in (tmp_path / "again").iterdir()} == {"none", "clip"}


def test_a_dry_run_shows_the_record(replay: Callable[..., Any], tmp_path: Path) -> None:
    shown = replay("--dry-run").out
    assert "replay of" in shown
    assert "comes-and-goes" not in shown
    assert not (tmp_path / "again").exists()


REFUSED = [
    ("replay {run} --set profile=mixed-20", "--set: profile: is the record's"),
    ("replay {run} --set seed=3", "--set: seed: is the record's"),
    ("replay {run} --set strategy=none", "--set: strategy: use --strategy"),
    ("replay {run} --rounds 5", "--rounds: the record has 4, got 5"),
    ("replay {run} --rounds 0", "--rounds: must be at least 1, got 0"),
    ("replay {run} --strategy nonesuch", "strategy: nonesuch: no strategy of that name"),
    ("replay {run} --strategy none,none", "--strategy: 'none,none': must be distinct names"),
    ("replay {run} --clock sun", "--clock: must be one of wall, virtual, got 'sun'"),
    ("replay {run} --dry-run --json", "--json: goes with a replay"),
    ("replay {run} --out {run}", "--out: {run}: exists and is not empty"),
    ("replay {run} --strategy none,clip --out {run}", "--out: {run}: exists and is not empty"),
    ("replay {empty}", "{empty}/config.toml: cannot be read"),
    ("replay {strange}", "{strange}/record.trace: line 2: unknown kind 'colour'"),
    ("replay {other}", "{other}/record.trace: device '8': no client of the run's fleet"),
    ("replay {idle}", "{idle}/events.jsonl: no round was begun"),
]


@pytest.mark.parametrize(("line", "rule"), REFUSED)
def test_what_cannot_be_replayed_says_why(
    command: Command, recorded: Path, tmp_path: Path, line: str, rule: str
) -> None:
    places = {"run": recorded}
    for name in ("empty", "strange", "other", "idle"):
        places[name] = tmp_path / name
        places[name].mkdir()
    head = '{"format":"straggler-trace","schema":1,"title":"","notes":[]}\n'
    for name, file, content in (
        ("strange", "record.trace", head + '["0",0,"colour",1]\n'),
        ("other", "record.trace", head + '["8",0,"pace",1]\n["8",9,"end"]\n'),
        ("idle", "events.jsonl", ""),
    ):
        for copied in ("config.toml", "events.jsonl"):
            (places[name] / copied).write_bytes((recorded / copied).read_bytes())
        (places[name] / file).write_text(content)
    ended = command(*(word.format(**places) for word in line.split()))
    assert ended.code == 2
    assert one_line(ended).startswith(rule.format(**places))


def test_a_replay_is_not_replayed(
    command: Command, replay: Callable[..., Any], tmp_path: Path
) -> None:
    replay("--rounds", "1")
    ended = command("replay", str(tmp_path / "again"))
    assert ended.code == 2
    assert "replay: is one already" in one_line(ended)
