"""A run that is killed goes on from its last finished round."""

import csv
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commands.local import FRONT_DOOR
from runs.checkpoint import COORDINATOR, Checkpoint, read_checkpoint, write_checkpoint
from runs.disk import Disk
from tests.commands.conftest import Command, one_line

ROUNDS = 16
MODELLED = ("--set", "crypto=modelled", "--set", "training=modelled")
COLUMNS = ("round", "attempt", "clients", "survivors", "metric", "loss")


def options(fleet: str, *more: str) -> list[str]:
    return ["run", "--clock", "virtual", "--profile", fleet, "--rounds", str(ROUNDS), *more]


def rows(path: Path) -> list[dict[str, str]]:
    with (path / "rounds.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def told(row: dict[str, str]) -> dict[str, str]:
    """What the coordinator itself knows of a round."""
    return {key: text for key, text in row.items() if not key.startswith(("bytes", "critical"))}


def killed(path: Path, words: list[str], in_round: int) -> None:
    """Begin a run in a process of its own and kill it in this round or soon after."""
    command = [sys.executable, str(FRONT_DOOR), *words, "--out", str(path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if line.startswith("round ") and int(line.split()[1]) >= in_round:
                break
        run.send_signal(signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL
    assert json.loads((path / "summary.json").read_text())["status"] == "running"


@pytest.fixture(scope="module")
def cut(fast_fleet: Callable[[int], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a run that was killed in mid-round left it."""
    path = tmp_path_factory.mktemp("resume") / "cut"
    slow = ("--rounds", "100000", *MODELLED)  # far from its end, whenever the kill comes
    killed(path, options(fast_fleet(4), *slow), in_round=3)
    return path


@pytest.fixture
def copy(cut: Path, tmp_path: Path) -> Path:
    return shutil.copytree(cut, tmp_path / "copy")


STRATEGIES = [
    (),
    ("--strategy", "fedsparsify-global"),
    # decides at the coordinator, from what it has seen in earlier rounds
    ("--strategy", "fluid", "--set", "aggregation=plain"),
]


@pytest.mark.parametrize("more", STRATEGIES, ids=str)
def test_killed_in_mid_round_and_resumed(
    command: Command, fast_fleet: Callable[[int], str], tmp_path: Path, more: tuple[str, ...]
) -> None:
    """Rounds before the kill are those of a run that was never killed, and so is the model."""
    words = options(fast_fleet(4), *MODELLED, *more)
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    killed(cut, words, in_round=3)
    before = (cut / "events.jsonl").read_bytes()
    ended = command("run", "--resume", str(cut), "--json")
    assert ended.code == 0, ended.err
    summary: Any = json.loads(ended.out)
    assert (summary["status"], summary["rounds"]) == ("finished", ROUNDS)
    assert command(*words, "--out", str(whole), "--json").code == 0
    assert (cut / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    resumed, never = rows(cut), rows(whole)
    first = next(i for i, row in enumerate(resumed) if row["attempt"] == "2")
    assert first >= 2
    assert resumed[: first - 1] == never[: first - 1]
    # What clients had not yet told of the last round when the kill came is missing.
    assert told(resumed[first - 1]) == told(never[first - 1])
    for mine, other in zip(resumed, never, strict=True):
        assert mine["metric"] == other["metric"]
    kept = (cut / "events.jsonl").read_bytes()
    end = before.index(b"\n", before.rindex(b'"kind":"round_finished"')) + 1
    assert kept[:end] == before[:end]
    assert not (cut / "checkpoint" / "workers").exists()
    again = command("run", "--resume", str(cut))
    assert again.code == 2
    assert "has played all its rounds" in one_line(again)


REFUSED = [
    # what is asked for beside --resume, what the line names
    (("--strategy", "none"), "run.strategy: was 'clip-network', is 'none'"),
    (("--set", "clip=0.25"), "clip: was 0.5, is 0.25"),
    (("--out", "elsewhere"), "--out: a resumed run goes on in its own folder"),
]


@pytest.mark.parametrize(("words", "said"), REFUSED)
def test_a_run_goes_on_only_as_it_began(
    command: Command, copy: Path, words: tuple[str, ...], said: str
) -> None:
    log = (copy / "events.jsonl").read_bytes()
    ended = command("run", "--resume", str(copy), *words)
    assert ended.code == 2
    assert said in one_line(ended)
    assert (copy / "events.jsonl").read_bytes() == log


def test_another_version_is_refused(command: Command, copy: Path) -> None:
    config = copy / "config.toml"
    text = config.read_text()
    at = text.index("torch = ")
    config.write_text(text[:at] + 'torch = "0.1"' + text[text.index("\n", at) :])
    ended = command("run", "--resume", str(copy))
    assert ended.code == 2
    assert "versions.torch: was '0.1'" in one_line(ended)


def altered(path: Path, arrays: dict[str, np.ndarray] | None = None, **values: object) -> None:
    """Change what the coordinator's checkpoint says; None: it does not say it."""
    file = path / COORDINATOR
    before = read_checkpoint(file)
    said = {k: v for k, v in {**before.values, **values}.items() if v is not None}
    write_checkpoint(file, Checkpoint(said, {**before.arrays, **(arrays or {})}), Disk())


def reworded(path: Path, old: str, new: str) -> None:
    config = path / "config.toml"
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new, 1))


SPOILT: list[tuple[str, Callable[[Path], object], str]] = [
    ("no checkpoint", lambda p: shutil.rmtree(p / "checkpoint"), "cannot be read"),
    (
        "a torn one",
        lambda p: (p / "checkpoint/coordinator.safetensors").write_bytes(b"torn"),
        "must be a checkpoint",
    ),
    ("a shorter log", lambda p: (p / "events.jsonl").write_text(""), "is shorter than"),
    ("no run", lambda p: (p / "config.toml").unlink(), "cannot be read"),
    ("no count", lambda p: altered(p, resumed=None), "resumed: must be a whole number"),
    ("no attempt", lambda p: altered(p, attempt="1"), "attempt: must be a whole number"),
    ("no arrivals", lambda p: altered(p, arrivals_s=[1]), "arrivals_s: must be a map"),
    ("no strategy", lambda p: altered(p, strategy=None), "strategy: must be a map"),
    (
        "another model",
        lambda p: altered(p, {"model": np.zeros(3, np.float32)}),
        "coordinator.safetensors: must be of this run (the model is another one)",
    ),
    (
        "settings that are none",
        lambda p: reworded(p, "rounds = 100000", 'rounds = "many"'),
        "config.toml: rounds: must be an integer, got 'many'",
    ),
    (
        "foreign memories",
        lambda p: (p / "checkpoint/workers/clients.msgpack").write_bytes(b"\xc1"),
        "must be what clients kept",
    ),
]


@pytest.mark.parametrize(("spoil", "said"), [s[1:] for s in SPOILT], ids=[s[0] for s in SPOILT])
def test_what_cannot_be_gone_on_with_is_one_line(
    command: Command, copy: Path, spoil: Callable[[Path], object], said: str
) -> None:
    spoil(copy)
    ended = command("run", "--resume", str(copy))
    assert ended.code == 2
    assert said in one_line(ended)


def test_a_coordinator_needs_the_token_that_its_workers_know(command: Command, copy: Path) -> None:
    ended = command("coordinator", "--listen", "127.0.0.1:0", "--resume", str(copy))
    assert ended.code == 2
