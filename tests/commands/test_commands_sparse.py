"""Sparse training from the command line: fewer bytes over the links, counted in three ways, and one
line for what does not go together. Training is modelled: tests/rounds has real sums."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import Command, one_line, words

Fleet = Callable[[int], str]
PARAMETERS = 403_730
DENSE = 4 * PARAMETERS
SHORT = "--set training=modelled --rounds 4"


@pytest.fixture
def sparse(command: Command, fast_fleet: Fleet, tmp_path: Path) -> Callable[..., Any]:
    """Play four short rounds of four devices; the summary and the rows of rounds."""

    def play(name: str, line: str) -> tuple[Any, list[dict[str, str]]]:
        out = tmp_path / name
        common = f"--clock virtual --profile {fast_fleet(4)} {SHORT} --out {out} --json"
        ended = command(*words(f"{common} {line}"))
        assert ended.code == 0, ended.err
        with (out / "rounds.csv").open(newline="") as file:
            return json.loads(ended.out), list(csv.DictReader(file))

    return play


def test_bytes_shrink_with_the_survivors(sparse: Callable[..., Any], tmp_path: Path) -> None:
    chosen = "--strategy fedsparsify-global --set sparsity_rounds=3"
    secure, rows = sparse("secagg", f"{chosen} --set aggregation=secagg")
    plain, _ = sparse("plain", f"{chosen} --set aggregation=plain")
    assert float(rows[-1]["sparsity"]) == pytest.approx(0.95, abs=1e-5)
    for row in rows:
        up, down = (int(row[f"bytes_{way}"]) / 4 for way in ("up", "down"))
        values = 4 * int(row["surviving"])
        assert values < up < 1.06 * values + 8000  # framing, keys and shares
        pattern = PARAMETERS / 8 if row["surviving"] != str(PARAMETERS) else 0
        assert values < down < 1.06 * values + pattern + 8000
    assert int(rows[-1]["bytes_up"]) / 4 < 0.07 * DENSE
    for summary in (secure, plain):
        found = summary["sparsity"]
        assert found["parameters"] == PARAMETERS
        assert found["last_upload"] < 0.07
        counts = found["bytes"]
        assert counts["dense"] == {"up": 4 * 4 * DENSE, "down": 4 * 4 * DENSE}
        assert counts["real"]["up"] == summary["bytes"]["up"]
        travelled = 4 * 4 * sum(int(row["surviving"]) for row in rows)
        assert counts["source_metric"] == {"up": travelled, "down": travelled}
    page = (tmp_path / "secagg" / "report.html").read_text()
    assert "95.0 % of 403,730 weights" in page
    assert "non-zeros" in page


def test_clients_vote_and_dense_runs_say_nothing_of_sparsity(sparse: Callable[..., Any]) -> None:
    local, rows = sparse("local", "--strategy fedsparsify-local --set sparsity_rounds=3")
    assert 0.9 < local["sparsity"]["final"] < 0.99
    counts = local["sparsity"]["bytes"]
    assert counts["source_metric"]["up"] < counts["source_metric"]["down"]
    votes = 3 / 32  # three bits a vote for sums up to four clients, ten to a word
    assert int(rows[0]["bytes_up"]) / 4 > (1 + votes) * DENSE
    dense, rows = sparse("dense", "--strategy none --rounds 1")
    assert dense["sparsity"] is None
    assert rows[0]["surviving"] == ""


def test_the_combination_plays_against_an_active_coordinator(sparse: Callable[..., Any]) -> None:
    """Who signs what all train signs the pattern too."""
    chosen = "--strategy clip-network+fedsparsify-global --set warmup_rounds=1"
    both, rows = sparse("both", f"{chosen} --set adversary=active --set evidence=global")
    assert both["strategy"] == "clip-network+fedsparsify-global"
    assert both["sparsity"]["final"] == pytest.approx(0.95, abs=1e-5)
    assert rows[-1]["survivors"] == "4"


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        (
            "--strategy one-shot --rounds 1",
            "strategy: sparsity_start: must lie in [0, 1)",
        ),
        ("--strategy fedsparsify-global --set sparsity=0.995", "strategy: sparsity: must be"),
        (
            "--strategy clip+fedsparsify-local",
            "strategy: clip+fedsparsify-local: fedsparsify-local stands alone: its clients vote",
        ),
        (
            "--strategy fluid+fedsparsify-global --set aggregation=plain",
            "strategy: fluid+fedsparsify-global: fluid stands alone: it sends each straggler",
        ),
        (
            "--strategy none+fedsparsify-global",
            "strategy: none+fedsparsify-global: none stands alone: it adds nothing",
        ),
        (
            "--strategy snip --clock virtual --set training=modelled",
            "training: modelled: snip prunes by a gradient, which must be computed",
        ),
        (
            "--strategy one-shot --set one_shot_round=9",
            "one_shot_round: must be one of the run's 6 rounds, got 9",
        ),
        (
            "--strategy fedsparsify-local --set vote_mean=voters --set mean=all",
            "vote_mean: voters: is a mean over the voters: mean=participation",
        ),
        ("--set sparse_compute=measured", "--set: sparse_compute: must be one of dense"),
        ("--set sparsity_scope=row", "--set: sparsity_scope: must be one of global, layer"),
    ],
)
def test_what_does_not_go_together_is_refused_with_the_reason(
    command: Command, line: str, rule: str
) -> None:
    ended = command(*words(line))
    assert ended.code == 2
    assert one_line(ended).startswith(rule)
