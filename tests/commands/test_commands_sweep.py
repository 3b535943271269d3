"""Comparisons as grids: which runs there are, what is kept when one is cut off, and its table.

Most of it with an engine that writes what a run would leave; one test kills real processes.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from commands import compare
from commands.cli import build_parser
from commands.engines import Played
from commands.errors import BadInput, Failure
from commands.grid import Cell, make_grid, read_lists, to_values
from commands.settings import RunSettings, resolve
from commands.sweep import Sweep
from runs.folder import RunFolder
from tests.commands.conftest import Command

Fleet = Callable[[int], str]
ROOT = Path(__file__).parents[2]
LIMIT_S = 90.0


class Scripted:
    """An engine whose runs take no time: a round lasts as long as the settings say. Stops after
    `most` runs, as one that is killed does."""

    def __init__(self, fake_run: Callable[..., Any], most: int = 1000) -> None:
        self._fake_run = fake_run
        self._left = most
        self.played: list[str] = []
        self.failing: set[str] = set()

    def play(self, cells: Sequence[Cell], scratch: Path) -> Iterator[Played]:
        for cell in reversed(cells):  # an engine may take any order
            if self._left == 0:
                (scratch / cell.name).mkdir()
                raise KeyboardInterrupt
            self._left -= 1
            self.played.append(cell.name)
            if cell.name in self.failing:
                (scratch / cell.name).mkdir()
                yield Played(cell, f"nobody came; what there is is in {scratch / cell.name}")
                continue
            self._run(cell, scratch)
            yield Played(cell, None)

    def _run(self, cell: Cell, scratch: Path) -> None:
        settings = cell.settings
        slower = 1.0 + settings.seed + (0.5 if settings.strategy == "none" else 0.0)
        slower += {"plain": 0.0, "secagg": 0.25, "secagg+": 0.125}[settings.aggregation]
        run = {"metric": "accuracy"} | {
            key: getattr(settings, key)
            for key in ("profile", "strategy", "aggregation", "seed", "ring_bits", "rounds")
        }
        config = {"run": run, "fleet": {"name": Path(settings.profile).stem}}
        folder = RunFolder.create(scratch / cell.name, config)
        fake = self._fake_run(recorder=folder, slower=slower, saved_fit=1.0)
        fake.whole()
        folder.close("finished")


@pytest.fixture
def scripted() -> Callable[..., Scripted]:
    from tests.runs.conftest import FakeRun

    return lambda most=1000: Scripted(FakeRun, most)


def grid_of(words: str) -> Any:  # noqa: ANN401
    return compare.grid_of(build_parser().parse_args(["compare", *words.split()]))


def test_a_grid_goes_through_everything_seed_by_seed() -> None:
    grid = grid_of(
        "--strategies none,clip --profile mixed-20,uniform-20 --seeds 2"
        " --set aggregation=plain,secagg+ --set ring_bits=32,40 --set clip=0.25"
    )
    cells = list(grid.cells())
    assert len(cells) == len({cell.name for cell in cells}) == 2 * 2 * 2 * 2 * 2
    assert cells[0].name == "none-plain-mixed-20-ring_bits=32-seed0"
    assert [cell.settings.seed for cell in cells] == [0] * 16 + [1] * 16
    assert {cell.settings.clip for cell in cells} == {0.25}
    assert {(c.settings.profile, c.settings.ring_bits) for c in cells} == {
        (profile, bits) for profile in ("mixed-20", "uniform-20") for bits in (32, 40)
    }
    assert grid.compared == ("profile", "ring_bits")


def test_lists_are_told_from_single_values() -> None:
    options = {"strategy": "a, b", "profile": None}
    lists, single = read_lists(options, ["rounds=2,3", "data=/a,b", "epochs=1"])
    assert lists == {"strategy": ["a", "b"], "rounds": [2, 3]}
    assert single == ["data=/a,b", "epochs=1"]


def test_what_is_left_to_the_run_stays_so_in_a_file() -> None:
    settings = resolve(None, {"ring_bits": "auto"}, ())
    assert settings.ring_bits is None
    assert resolve(None, to_values(settings), ()) == settings
    assert resolve(None, to_values(RunSettings()), ()) == RunSettings()


def test_fleets_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="two of the fleets have the same name"):
        make_grid(RunSettings(), {"profile": ["a/x.toml", "b/x.toml"]}, 1)


def sweep_of(path: Path, **lists: Sequence[object]) -> Sweep:
    chosen = {"strategy": ["none", "clip"], "aggregation": ["plain", "secagg"]} | lists
    grid = make_grid(replace(RunSettings(), rounds=4, warmup_rounds=0), chosen, 2)
    return Sweep.create(path, grid, None)


def test_cut_off_and_resumed_gives_the_same_table(
    tmp_path: Path, scripted: Callable[..., Scripted]
) -> None:
    whole = sweep_of(tmp_path / "whole")
    assert compare._play(whole, scripted()) == []
    cut = sweep_of(tmp_path / "cut")
    with pytest.raises(KeyboardInterrupt):
        compare._play(cut, scripted(3))
    assert len(cut.finished()) == 3
    again = Sweep.reopen(tmp_path / "cut")
    engine = scripted()
    assert compare._play(again, engine) == []
    assert len(engine.played) == 5
    assert again.compare() == whole.compare()
    texts = [(tmp_path / name / "comparison.json").read_bytes() for name in ("whole", "cut")]
    assert texts[0] == texts[1]
    assert not (tmp_path / "cut" / ".unfinished").exists()


def test_differences_are_paired_by_seed(tmp_path: Path, scripted: Callable[..., Scripted]) -> None:
    """Of fit_s = 6 s at `slower` = 1: clip spares half of that in every seed, so the spread of the
    change is nought though the rounds' is not."""
    sweep = sweep_of(tmp_path / "sweep")
    compare._play(sweep, scripted())
    comparison: Any = sweep.compare()
    kinds = [(row["strategy"], row["aggregation"]) for row in comparison["rows"]]
    assert kinds == [("none", "plain"), ("clip", "plain"), ("none", "secagg"), ("clip", "secagg")]
    clip = comparison["rows"][1]
    assert clip["speedup"]["change_s"] == pytest.approx({"mean": -3.0, "spread": 0.0}, abs=1e-9)
    assert clip["round_s"]["spread"] > 4
    assert clip["speedup"]["pairs"] == 2
    assert comparison["rows"][2]["speedup"]["change_s"]["mean"] == pytest.approx(1.5)


def test_each_fleet_has_its_own_baseline_and_target(
    tmp_path: Path, scripted: Callable[..., Scripted]
) -> None:
    sweep = sweep_of(tmp_path / "s", profile=["uniform-20", "mixed-20"], ring_bits=[32, 40])
    compare._play(sweep, scripted())
    comparison: Any = sweep.compare()
    assert comparison["fleets"] == ["uniform-20", "mixed-20"]
    assert comparison["fleet"] is None
    assert len(comparison["rows"]) == 16
    base = [row for row in comparison["rows"] if row["speedup"]["saved"]["mean"] == 0]
    assert [(row["fleet"], row["settings"]) for row in base[:1]] == [
        ("uniform-20", {"ring_bits": 32})
    ]
    assert {row["fleet"] for row in base} == {"uniform-20", "mixed-20"}


def test_a_failed_run_is_told_kept_apart_and_tried_again(
    tmp_path: Path, scripted: Callable[..., Scripted]
) -> None:
    sweep = sweep_of(tmp_path / "sweep")
    engine, name = scripted(), "clip-plain-seed1"
    engine.failing = {name}
    (failed,) = compare._play(sweep, engine)
    assert failed.cell.name == name
    assert failed.fault is not None
    assert failed.fault.endswith(str(tmp_path / "sweep" / ".failed" / name))
    assert (tmp_path / "sweep" / ".failed" / name).is_dir()
    comparison: Any = sweep.compare()
    assert comparison["notes"] == ["1 of 8 runs are not finished"]
    again = scripted()
    assert compare._play(Sweep.reopen(tmp_path / "sweep"), again) == []
    assert again.played == [name]


def test_a_folder_holds_one_comparison(tmp_path: Path) -> None:
    sweep_of(tmp_path / "s")
    assert sweep_of(tmp_path / "s").cells == Sweep.reopen(tmp_path / "s").cells
    with pytest.raises(BadInput, match="holds another comparison: its axes differs"):
        sweep_of(tmp_path / "s", strategy=["none"])


def test_nobody_else_may_play_it_meanwhile(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path / "s")
    with sweep.scratch(), pytest.raises(BadInput, match="is being played already"):
        Sweep.reopen(tmp_path / "s").scratch().__enter__()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("x = ", "not readable as TOML"),
        ("schema = 2", "schema: must be 1, is 2"),
        ("schema = 1", "must have settings, axes and seeds"),
        ("schema = 1\nseeds = 1\n[axes]\nstrategy = [3]\n[settings]", "--strategy: must be text"),
        ("schema = 1\nseeds = 1\n[axes]\n[settings]\nrouds = 3", "--rouds: unknown setting"),
    ],
)
def test_a_spoilt_sweep_file_is_one_line(tmp_path: Path, text: str, rule: str) -> None:
    (tmp_path / "sweep.toml").write_text(text)
    with pytest.raises(BadInput, match=r".") as caught:
        Sweep.reopen(tmp_path)
    assert rule in str(caught.value)


DRIVER = """
import sys
from pathlib import Path
from commands import compare
from commands.engines import Local
from commands.sweep import Sweep

compare._play(Sweep.reopen(Path(sys.argv[1])), Local(1, sys.argv[2:]))
"""
PROGRAM = """
import os, sys, tomllib
from pathlib import Path
from runs.folder import RunFolder
from tests.runs.conftest import FakeRun

gate, settings_file, out = sys.argv[1:]
settings = tomllib.loads(Path(settings_file).read_text())
config = {"run": settings | {"metric": "accuracy"}, "fleet": {"name": "fake-4"}}
folder = RunFolder.create(Path(out), config)
run = FakeRun(recorder=folder, slower=1.0 + settings["seed"])
run.start()
if settings["seed"] == 1 and gate != "open":
    with open(gate, "w", buffering=1) as told:
        told.write("began\\n")
        while os.read(0, 1):
            pass
        told.write("saw its parent's end\\n")
    sys.exit(1)
for round_ in (1, 2, 3):
    run.round(round_, 0.5)
folder.close("finished")
"""


def test_killed_in_mid_run_and_resumed(tmp_path: Path) -> None:
    """Real processes: the sweep is killed during its second run, which ends with it."""
    for name, text in (("driver.py", DRIVER), ("program.py", PROGRAM)):
        (tmp_path / name).write_text(text)
    driver, program = (str(tmp_path / f"{name}.py") for name in ("driver", "program"))
    gate = tmp_path / "gate"
    os.mkfifo(gate)

    def play(name: str, gate: str) -> "subprocess.Popen[bytes]":
        sweep_of(tmp_path / name, strategy=["none"], aggregation=["plain"])
        words = [sys.executable, driver, str(tmp_path / name), sys.executable, program, gate]
        return subprocess.Popen(words, env=os.environ | {"PYTHONPATH": str(ROOT)})

    assert play("whole", "open").wait(LIMIT_S) == 0
    process = play("cut", str(gate))
    with gate.open() as told:
        assert told.readline() == "began\n"
        process.send_signal(signal.SIGKILL)
        process.wait(LIMIT_S)
        assert told.readline() == "saw its parent's end\n"
    cut = Sweep.reopen(tmp_path / "cut")
    assert [cell.name for cell in cut.finished()] == ["none-plain-seed0"]
    assert play("cut", "open").wait(LIMIT_S) == 0
    assert len(cut.finished()) == 2
    assert cut.compare() == Sweep.reopen(tmp_path / "whole").compare()


def test_a_real_run_in_a_process_of_its_own(
    command: Command, fast_fleet: Fleet, tmp_path: Path
) -> None:
    out = tmp_path / "sweep"
    words = ["compare", "--strategies", "none", "--profile", fast_fleet(2), "--rounds", "1"]
    words += ["--set", "training_processes=1", "--set", "epochs=1", "--set", "batch_size=300"]
    words += ["--set", "aggregation=plain", "--set", "keep_updates=last"]
    words += ["--out", str(out), "--json"]
    ended = command(*words)
    assert ended.code == 0, ended.err
    assert "keep_updates: updates of 2 clients in round 1: at most 4.8 MB" in ended.err
    assert "[1/1] none-plain-seed0" in ended.err
    comparison = json.loads(ended.out)
    assert comparison["rows"][0]["seeds"] == [0]
    assert json.loads((out / "comparison.json").read_text()) == comparison
    again = command("compare", "--resume", str(out), "--json")
    assert "0 of 1 runs to play" in again.err
    assert json.loads(again.out) == comparison
    assert command("report", str(out)).code == 0
    attacked = command("attack", str(out), "--examples", "20", "--shadows", "0", "--json")
    assert attacked.code == 0, attacked.err
    (result,) = json.loads(attacked.out)["runs"]
    assert result["run"] == "none-plain-seed0"
    model, summed = result["targets"][1], result["targets"][3]
    assert (summed["target"], summed["round"]) == ("sum", 1)
    assert model["attacks"]["loss"] == summed["attacks"]["loss"]


def test_failures_come_after_the_table(
    tmp_path: Path, scripted: Callable[..., Scripted], capsys: pytest.CaptureFixture[str]
) -> None:
    sweep, engine = sweep_of(tmp_path / "s"), scripted()
    engine.failing = {"clip-plain-seed1"}
    arguments = build_parser().parse_args(["compare", "--resume", str(sweep.path)])
    with pytest.raises(Failure, match="1 of 8 runs failed, first clip-plain-seed1: nobody came"):
        compare.conclude(sweep, compare._play(sweep, engine), arguments)
    assert "none · plain" in capsys.readouterr().out
