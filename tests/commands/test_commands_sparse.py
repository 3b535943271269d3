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


KERNELS = """title = "a runtime for sparse weights"
task = "digits"
conditions = "made up"
passes = "training"
"""
CURVE = """[layers.{kind}]
source = "assumed: for a test"
zeros = {{ values = [0, 100], unit = "%" }}
relative_time = {{ values = [1, {least}], unit = "times" }}
"""


def test_what_zeros_save_is_a_choice_and_is_told(
    sparse: Callable[..., Any], tmp_path: Path, command: Command
) -> None:
    """With kernels that save nothing every figure is that of dense ones; with others the fit, and
    what a straggler reckons by, are shorter, and nothing else is."""
    found = {}
    for name, least in (("dense", None), ("level", 1.0), ("fast", 0.1)):
        file = tmp_path / f"{name}.toml"
        curves = [CURVE.format(kind=k, least=least) for k in ("dense", "convolution")]
        file.write_text(KERNELS + "".join(curves))
        chosen = f" --set sparse_compute={file}" if least else ""
        line = (
            f"--strategy fedsparsify-global --set sparsity_rounds=2{chosen} --set aggregation=plain"
        )
        summary, rows = sparse(f"run-{name}", line)
        with (tmp_path / f"run-{name}" / "clients.csv").open(newline="") as opened:
            fits = [float(row["fit_s"]) for row in csv.DictReader(opened)]
        found[name] = summary, rows, fits
    (dense, rows, fits), (level, same, equal), (fast, _, less) = found.values()
    assert dense["sparse_compute"] == "dense"
    assert level["sparse_compute"] == "level: a runtime for sparse weights"
    assert equal == pytest.approx(fits, rel=1e-9)
    times = [float(row["round_s"]) for row in rows]
    assert [float(row["round_s"]) for row in same] == pytest.approx(times, rel=1e-9)
    assert less[:8] == pytest.approx(fits[:8], rel=1e-9)  # nothing is pruned yet
    assert all(a < 0.9 * b for a, b in zip(less[8:], fits[8:], strict=True))
    assert fast["bytes"] == dense["bytes"]
    assert "compute: fast: a runtime" in (tmp_path / "run-fast" / "report.html").read_text()
    config = (tmp_path / "run-fast" / "config.toml").read_text()
    assert "assumed: for a test" in config
    own = tmp_path / "half.toml"
    own.write_text(KERNELS + CURVE.format(kind="dense", least=0.1))
    ended = command(*words(f"--set sparse_compute={own}"))
    assert (ended.code, one_line(ended).startswith(f"{own}: layers.convolution: is missing")) == (
        2,
        True,
    )


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
        (
            "--set sparse_compute=measured",
            "sparse_compute: must be dense, kernels or a file: no shipped profile of kernels",
        ),
        ("--set sparse_compute=no.toml", "no.toml: (file): does not exist"),
        ("--set sparsity_scope=row", "--set: sparsity_scope: must be one of global, layer"),
    ],
)
def test_what_does_not_go_together_is_refused_with_the_reason(
    command: Command, line: str, rule: str
) -> None:
    ended = command(*words(line))
    assert ended.code == 2
    assert one_line(ended).startswith(rule)
