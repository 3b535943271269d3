"""Whole runs under the virtual clock: equal settings, equal logs; what is modelled says so."""

import hashlib
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import Command, one_line, words

Fleet = Callable[[int], str]
MODELLED = ("--set", "crypto=modelled", "--set", "training=modelled")


@pytest.fixture
def virtual(command: Command, fast_fleet: Fleet, tmp_path: Path) -> Callable[..., Any]:
    """Play three rounds of four devices; returns the summary."""

    def play(name: str, *options: str) -> Any:  # noqa: ANN401
        out = tmp_path / name
        ended = command(
            *("--clock", "virtual", "--profile", fast_fleet(4), "--rounds", "3"),
            *("--out", str(out), "--json", *options),
        )
        assert ended.code == 0, ended.err
        summary = json.loads(ended.out)
        log = (out / "events.jsonl").read_bytes()
        assert summary["events_sha256"] == hashlib.sha256(log).hexdigest()
        assert summary["clock"] == "virtual"
        assert summary["fidelity"]["stable"] is True
        return summary

    return play


def test_the_number_of_processes_does_not_show(virtual: Callable[..., Any], tmp_path: Path) -> None:
    short = ("--set", "epochs=1", "--set", "train_examples=240", "--set", "test_examples=90")
    one, two = (virtual(n, *short, "--set", f"training_processes={n}") for n in "12")
    assert one["events_sha256"] == two["events_sha256"]
    models = [(tmp_path / name / "model.safetensors").read_bytes() for name in "12"]
    assert models[0] == models[1]
    assert one["metric"]["final"] > 0.2
    assert one["keys"] == "seeded: insecure"
    assert "INSECURE" in (tmp_path / "1" / "report.html").read_text()
    run = tomllib.loads((tmp_path / "1" / "config.toml").read_text())["run"]
    assert run["keys"] == "seeded: insecure"


@pytest.mark.parametrize(
    ("aggregation", "tcp"), [("plain", "segments"), ("secagg", "segments"), ("secagg", "rounds")]
)
def test_modelled_runs_repeat_and_say_that_they_are(
    virtual: Callable[..., Any], tmp_path: Path, aggregation: str, tcp: str
) -> None:
    chosen = ("--set", f"aggregation={aggregation}", "--set", f"tcp={tcp}")
    first, again = (virtual(name, *MODELLED, *chosen) for name in ("first", "again"))
    assert first["events_sha256"] == again["events_sha256"]
    assert first["rounds"] == 3
    assert first["crypto"] == first["training"] == "modelled"
    assert first["metric"]["final"] is None
    report = (tmp_path / "first" / "report.html").read_text()
    assert "MODELLED TRAINING" in report
    assert "PHANTOM BODIES" in report


def test_senders_by_rounds_take_about_as_long_and_say_so(virtual: Callable[..., Any]) -> None:
    chosen = (*MODELLED, "--strategy", "none")
    fine, coarse = virtual("fine", *chosen), virtual("coarse", *chosen, "--set", "tcp=rounds")
    assert (fine["tcp"], coarse["tcp"]) == ("segments", "rounds")
    assert coarse["round_s"]["mean"] == pytest.approx(fine["round_s"]["mean"], rel=0.01)


def test_modelled_times_are_the_computed_ones(virtual: Callable[..., Any]) -> None:
    """With `none` no decision follows from the values."""
    settings = words(
        "--strategy none --set epochs=1 --set training_processes=1"
        " --set train_examples=120 --set test_examples=40"
    )
    computed, modelled = virtual("computed", *settings), virtual("modelled", *settings, *MODELLED)
    assert (modelled["bodies"], computed["bodies"]) == ("phantom", "carried")
    # A phantom is declared by one more header line than a body that is carried.
    assert modelled["round_s"] == pytest.approx(computed["round_s"], rel=1e-3)
    assert modelled["phase_s"] == pytest.approx(computed["phase_s"], rel=1e-3, abs=1e-4)
    for way in ("up", "down"):
        assert modelled["bytes"][way] == pytest.approx(computed["bytes"][way], rel=1e-3)


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("--set crypto=modelled", "crypto: modelled: needs clock=virtual"),
        ("--set training=modelled", "training: modelled: needs clock=virtual"),
        (
            "--clock virtual --set crypto=modelled --set adversary=active",
            "crypto: modelled: not with adversary=active",
        ),
        ("--set tcp=rounds", "tcp: rounds: needs clock=virtual"),
        ("--set crypto=quantum", "--set: crypto: must be one of computed, modelled"),
    ],
)
def test_what_does_not_go_together(command: Command, line: str, rule: str) -> None:
    ended = command(*words(line))
    assert ended.code == 2
    assert one_line(ended).startswith(rule)
