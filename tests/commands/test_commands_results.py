"""The results page: only from comparisons of shipped experiments, and it says what is missing."""

import json
from pathlib import Path

import pytest

from benchmarks import results_attacks, results_clip, results_fedsparsify
from benchmarks.results_measured import Study, spread
from commands.cli import build_parser
from commands.compare import grid_of
from commands.grid import Cell
from commands.sweep import Sweep
from runs.folder import RunFolder
from tests.runs.conftest import FakeRun

NAME = "clip-femnist"


def finished(path: Path, cell: Cell) -> None:
    """A run as `compare` leaves it; twice as long a round under `none`."""
    settings = cell.settings
    run = {"strategy": settings.strategy, "seed": settings.seed, "metric": "accuracy", "rounds": 4}
    folder = RunFolder.create(path / cell.name, {"run": run, "fleet": {"name": "fake"}})
    slower = 2.0 if settings.strategy == "none" else 1.0 + settings.seed / 10
    FakeRun(recorder=folder, slower=slower, saved_fit=1.0).whole()
    folder.close("finished")


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    words = f"compare --experiment {NAME} --quick --data somewhere"
    grid = grid_of(build_parser().parse_args(words.split()))
    made = Sweep.create(tmp_path / NAME, grid, None)
    for cell in made.cells[:-1]:
        finished(made.path, cell)
    return made.path


def test_changes_are_paired_with_the_same_seed(sweep: Path) -> None:
    rows = Study(sweep).rows()
    of = {str(key[-1]): runs for key, runs in rows.items()}
    assert [run.saved for run in of["none"]] == [0.0, 0.0, 0.0]
    for clip, none in zip(of["clip"], of["none"], strict=True):
        assert clip.cell.settings.seed == none.cell.settings.seed
        assert clip.round_s is not None
        assert none.round_s is not None
        assert clip.saved == 1 - clip.round_s / none.round_s
    saved = [run.saved or 0.0 for run in of["clip"]]
    assert 0.5 > saved[0] > saved[1] > saved[2] > 0.3
    assert len(of["clip-network"]) == 2  # the third was not played


def test_the_page_says_what_was_run_and_what_is_missing(sweep: Path, tmp_path: Path) -> None:
    page = tmp_path / "results.md"
    assert results_clip.PAGE.main([str(sweep), "--page", str(page)]) == 0
    text = page.read_text()
    assert f"compare --experiment {NAME} --quick --data DIR" in text
    assert "**14 of 15 runs are finished.**" in text
    assert "somewhere" not in text
    plot = (tmp_path / "results" / f"{NAME}.svg").read_text()
    assert plot.startswith("<svg xmlns=")
    row = next(line for line in text.splitlines() if line.startswith("| clip |"))
    assert " ± " in row


def test_another_grid_is_refused(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = sweep.rename(tmp_path / "clip-cifar10")
    assert results_clip.PAGE.main([str(other), "--page", str(tmp_path / "page.md")]) == 2
    assert "holds other runs than the experiment clip-cifar10" in capsys.readouterr().err
    assert not (tmp_path / "page.md").exists()


def membership(path: Path) -> Sweep:
    """Nothing of it is played."""
    words = "compare --experiment fedsparsify-membership --quick"
    grid = grid_of(build_parser().parse_args(words.split()))
    return Sweep.create(path / "fedsparsify-membership", grid, None)


def test_sparsities_are_paired_with_dense_training(tmp_path: Path) -> None:
    made = membership(tmp_path)
    for cell in made.cells:
        finished(made.path, cell)
    study = Study(made.path)
    assert study.baseline == ("sparsity", 0.0)
    for run in study.runs():
        assert run.base is not None
        assert run.base["strategy"] == run.cell.settings.strategy
    page = tmp_path / "results.md"
    assert results_fedsparsify.PAGE.main([str(made.path), "--page", str(page)]) == 0
    text = page.read_text()
    assert [line.split("|")[1].strip() for line in text.splitlines() if "| 0." in line][:2] == [
        "0.0",
        "0.95",
    ]
    assert "AUC of" not in text
    assert (tmp_path / "results" / "fedsparsify-membership.svg").exists()


def test_what_attacks_found_stands_beside_and_how_many_runs_they_judged(tmp_path: Path) -> None:
    made = membership(tmp_path)
    paths = [made.path / cell.name for cell in made.cells]
    auc = {"value": 0.625, "low": 0.5, "high": 0.75}
    target = {
        "target": "update",
        "question": "whose",
        "round": 9,
        "attacks": {"loss": {"auc": auc}},
    }
    fit = {kind: {"accuracy": 0.5} for kind in ("members", "others")}
    result = {"sparsity": 0.95, "settings": {"seed": 0}, "targets": [target], "fit": fit}
    paths[1].mkdir(parents=True)
    (paths[1] / "attack.json").write_text(json.dumps(result))
    assert results_attacks.of_runs(paths[:1]) == []
    lines = results_attacks.of_runs(paths)
    assert "attack out/fedsparsify-membership`" in lines[0]
    assert "**1 of 2 runs were attacked.**" in lines
    assert not any("that of dense" in line for line in lines)
    dense = {**target, "attacks": {"loss": {"auc": {**auc, "value": 0.75}}}}
    paths[0].mkdir()
    (paths[0] / "attack.json").write_text(
        json.dumps({**result, "sparsity": 0.0, "targets": [dense]})
    )
    lines = results_attacks.of_runs(paths)
    assert "| AUC of | by | 0% pruned, 1 seed | 95% pruned, 1 seed |" in lines
    told = "| update of round 9, whose | `loss` | 0.750 (0.500 to 0.750) | 0.625 (0.500 to 0.750) |"
    assert told in lines
    assert "| accuracy of the global model on others |  | 0.500 | 0.500 |" in lines
    assert "| update, whose | `loss` | -0.125 (-0.125 to -0.125) |" in lines


def test_spreads() -> None:
    assert spread([None]) is None
    one, two = spread([0.5, None]), spread([1.0, 3.0])
    assert one is not None
    assert two is not None
    assert (one.mean, one.deviation, one.count) == (0.5, None, 1)
    assert (two.mean, two.count) == (2.0, 2)
    assert two.deviation == pytest.approx(2**0.5)
