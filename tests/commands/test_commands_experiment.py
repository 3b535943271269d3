"""Experiments as files: what they may state, which word wins, and that the shipped ones hold."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from commands.cli import build_parser
from commands.compare import grid_of
from commands.errors import BadInput
from commands.experiment import EXPERIMENTS, read_experiment
from commands.grid import Grid
from commands.options import settings_of
from runs.comparison import compare
from runs.loading import load_run
from runs.values import items
from tests.commands.conftest import Command

Fleet = Callable[[int], str]
STUDY = """
title = "a study"
cost = "nothing"
rounds = 9
seed = 4
strategy = "clip"
[compare]
strategies = ["none", "clip"]
aggregations = ["secagg", "plain"]
min_keep = [0.25, 0.5]
seeds = 3
target = 0.8
[quick]
rounds = 5
train_examples = 100
[quick.compare]
min_keep = [0.5]
seeds = 2
"""


def grid(words: str) -> Grid:
    return grid_of(build_parser().parse_args(["compare", *words.split()]))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path


def test_an_experiment_states_the_whole_comparison(study: Path) -> None:
    full = grid(f"--experiment {study}")
    assert full.base.rounds == 9
    assert full.axes["strategy"] == ("none", "clip")
    assert full.axes["aggregation"] == ("secagg", "plain")
    assert full.axes["min_keep"] == (0.25, 0.5)
    assert (full.seeds, full.base.seed) == (3, 4)
    quick = grid(f"--experiment {study} --quick")
    assert (quick.base.rounds, quick.base.train_examples, quick.seeds) == (5, 100, 2)
    assert quick.axes["strategy"] == ("none", "clip")
    assert quick.axes["min_keep"] == (0.5,)


def test_the_command_line_wins(study: Path) -> None:
    changed = grid(f"--experiment {study} --quick --strategies exclude --seeds 1 --rounds 6")
    assert changed.axes["strategy"] == ("exclude",)
    assert (changed.seeds, changed.base.rounds, changed.base.train_examples) == (1, 6, 100)
    single = grid(f"--experiment {study} --set min_keep=0.75 --set aggregation=plain")
    assert "min_keep" not in single.axes
    assert single.base.min_keep == 0.75
    assert single.axes["aggregation"] == ("plain",)


def test_a_run_has_the_settings_and_no_lists(study: Path) -> None:
    def asked(words: str) -> Any:  # noqa: ANN401
        return settings_of(build_parser().parse_args(["run", *words.split()]))

    assert (asked(f"--experiment {study}").strategy, asked(f"--experiment {study}").rounds) == (
        "clip",
        9,
    )
    assert asked(f"--experiment {study} --quick").rounds == 5
    assert asked("--quick").rounds == 4


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("title = 3", "title: must be text"),
        ("quick = 3", "quick: must be a table"),
        ("compare = 3", "compare: must be a table"),
        ("[compare]\nstrategies = 'none'", "compare.strategies: must be a list of values"),
        ("[compare]\nstrategies = []", "compare.strategies: must be a list of values"),
        ("[compare]\nalpha = [1, 1.0]", "compare.alpha: holds a value twice"),
        ("[compare]\nseeds = 0", "compare.seeds: must be an integer of at least 1, got 0"),
        ("[quick.compare]\nseeds = true", "quick.compare.seeds: must be an integer"),
        ("[compare]\ntarget = 'x'", "compare.target: must be a number"),
        ("[compare]\nround = [1]", "compare: round: unknown setting"),
        ("[compare]\nrounds = [0]", "compare: rounds: must be at least 1, got 0"),
        ("[quick]\nround = 1", "quick: round: unknown setting"),
        ("[quick]\nrounds = 0", "quick: rounds: must be at least 1, got 0"),
    ],
)
def test_a_wrong_file_names_key_and_rule(tmp_path: Path, text: str, line: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(BadInput) as raised:
        grid(f"--experiment {path} --strategies none")
    assert str(raised.value).startswith(f"{path}: {line}")


def test_a_comparison_needs_strategies(tmp_path: Path) -> None:
    path = tmp_path / "flat.toml"
    path.write_text("rounds = 3")
    with pytest.raises(BadInput, match="an --experiment that lists them"):
        grid(f"--experiment {path}")


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*.toml")), ids=lambda path: path.stem)
def test_a_shipped_experiment_is_whole(path: Path) -> None:
    experiment = read_experiment(path)
    assert experiment.has_quick
    assert "cost = " in path.read_text()
    full, quick = grid(f"--experiment {path.stem}"), grid(f"--experiment {path.stem} --quick")
    assert full.seeds >= 3
    assert full.base.clock == "virtual"
    assert quick.base.rounds > quick.base.warmup_rounds
    assert _rounds(quick) < _rounds(full)


def _rounds(asked: Grid) -> int:
    return sum(cell.settings.rounds for cell in asked.cells())


def test_the_same_file_gives_the_same_table(
    command: Command, fast_fleet: Fleet, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(
        f'profile = "{fast_fleet(4)}"\nclock = "virtual"\ncrypto = "modelled"\nrounds = 9\n'
        "training = 'modelled'\n[compare]\nstrategies = ['none', 'ordered-dropout']\n"
        "[quick]\nrounds = 3\n"
    )
    (tmp_path / "again.toml").write_text(path.read_text())
    tables = []
    for file in ("tiny", "again"):
        runs = []
        for cell in grid(f"--experiment {tmp_path}/{file}.toml --quick").cells():
            out = tmp_path / f"{file}-{cell.name}"
            ended = command(
                *f"--experiment {tmp_path}/{file}.toml --quick --json --out {out}".split(),
                *f"--strategy {cell.settings.strategy}".split(),
            )
            assert ended.code == 0, ended.err
            runs.append(load_run(out))
        table = compare(runs)
        assert len(items(table, "rows")) == 2
        tables.append(table)
    assert tables[0] == tables[1]
