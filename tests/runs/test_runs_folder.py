"""The folder on disk: never overwriting, never half-written, whole again when read."""

import csv
import hashlib
import io
import json
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from runs import records, sheets
from runs.analysis import analyse, summarise_run
from runs.checkpoint import COORDINATOR, Checkpoint, read_checkpoint
from runs.disk import FullDisk
from runs.errors import RunFolderError
from runs.folder import RunFolder, rebuild
from runs.loading import load_run
from runs.summary import summarise
from runs.updates import client_file, of_client, of_model, read_round, round_file

Fake = Callable[..., Any]
Config = dict[str, object]


def test_a_whole_run(tmp_path: Path, config: Config, fake_run: Fake) -> None:
    folder = RunFolder.create(tmp_path / "out" / "first", config)
    fake_run(recorder=folder).whole()
    summary = folder.close("finished")
    names = {path.name for path in folder.path.iterdir()}
    assert names == {
        "config.toml",
        "summary.json",
        "rounds.csv",
        "clients.csv",
        "events.jsonl",
        "trace.json",
        "report.html",
    }
    assert json.loads((folder.path / "summary.json").read_text()) == summary
    assert (summary["status"], summary["rounds"]) == ("finished", 4)
    with (folder.path / "rounds.csv").open() as file:
        rounds = list(csv.DictReader(file))
    assert [row["round_s"] for row in rounds] == ["8.9", "8.9", "6.1", "5.9"]
    assert rounds[3]["lost"] == "3:upload"
    with (folder.path / "clients.csv").open() as file:
        clients = list(csv.DictReader(file))
    assert len(clients) == 16
    assert (clients[10]["client"], clients[10]["keep_ratio"]) == ("2", "0.6")
    assert clients[15]["fit_s"] == ""


def test_rows_are_rewritten_with_what_came_late(
    tmp_path: Path, config: Config, fake_run: Fake
) -> None:
    folder = RunFolder.create(tmp_path / "r", config)
    run = fake_run(recorder=folder)
    run.start()
    run.round(1, 0.5)
    before = (folder.path / "clients.csv").read_text()
    run.span("unmask", 1, 0, (run.now_s - 0.6, run.now_s - 0.5))
    folder.close("finished")
    after = (folder.path / "clients.csv").read_text()
    column = before.splitlines()[0].split(",").index("unmask_s")
    assert before.splitlines()[1].split(",")[column] == ""
    assert after.splitlines()[1].split(",")[column] == "0.1"
    assert len(after.splitlines()) == len(before.splitlines()) == 5


@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from(',"\n')))
def test_a_cell_survives_csv(text: str) -> None:
    line = sheets.header(["a", text, "z"])
    assert list(csv.reader(io.StringIO(line, newline=""))) == [["a", text, "z"]]


def test_what_is_loaded_is_what_was_recorded(
    tmp_path: Path, config: Config, fake_run: Fake
) -> None:
    folder = RunFolder.create(tmp_path / "r", config)
    fake_run(recorder=folder).whole()
    written = folder.close("finished")
    loaded = load_run(folder.path)
    again = fake_run()
    again.whole()
    assert list(loaded.items) == again.recorder.items
    digest = hashlib.sha256((folder.path / "events.jsonl").read_bytes()).hexdigest()
    found = summarise(analyse(loaded.config, loaded.items), "r", "finished")
    assert found | {"events_sha256": digest} == written


def test_config_is_toml_without_nulls(tmp_path: Path, config: Config) -> None:
    folder = RunFolder.create(tmp_path / "r", config)
    kept = tomllib.loads((folder.path / "config.toml").read_text())
    folder.close("finished")
    assert "resume" not in kept["run"]
    assert kept["fleet"] == config["fleet"]


@pytest.mark.parametrize("value", [object(), float("nan"), [1, None]])
def test_config_refuses_what_toml_cannot_say(tmp_path: Path, value: object) -> None:
    with pytest.raises(RunFolderError, match=r"config\.toml: run\.x"):
        RunFolder.create(tmp_path / "r", {"run": {"x": value}})
    assert not (tmp_path / "r").exists()


def test_refuses_to_overwrite(tmp_path: Path, config: Config) -> None:
    (tmp_path / "note").write_text("mine")
    with pytest.raises(RunFolderError, match="not empty"):
        RunFolder.create(tmp_path, config)
    assert [path.name for path in tmp_path.iterdir()] == ["note"]


def test_an_empty_folder_may_be_used(tmp_path: Path, config: Config) -> None:
    folder = RunFolder.create(tmp_path, config)
    folder.close("interrupted", "nothing to do")
    assert json.loads((tmp_path / "summary.json").read_text())["status"] == "interrupted"


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, config: Config) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunFolderError, match="Not a directory") as caught:
        RunFolder.create(tmp_path / "file" / "run", config)
    assert "\n" not in str(caught.value)


@pytest.fixture
def killed(tmp_path: Path, config: Config, fake_run: Fake) -> tuple[Path, Any]:
    """A folder as a kill in round 3 leaves it, its last line torn; and the run that was."""
    folder = RunFolder.create(tmp_path / "r", config)
    run = fake_run(recorder=folder)
    run.start()
    run.round(1, 0.5)
    run.round(2, 0.7)
    run.span("fit", 3, 0, (run.now_s, run.now_s + 1))
    copy = shutil.copytree(folder.path, tmp_path / "killed")
    folder.close("interrupted")
    with (copy / "events.jsonl").open("a") as file:
        file.write('{"schema":1,"type":"span","ph')
    return copy, run


def test_an_interrupted_run_keeps_its_finished_rounds(killed: tuple[Path, Any]) -> None:
    path, _ = killed
    summary = json.loads((path / "summary.json").read_text())
    assert (summary["status"], summary["rounds"]) == ("running", 2)
    assert len((path / "rounds.csv").read_text().splitlines()) == 3
    assert len((path / "clients.csv").read_text().splitlines()) == 9
    loaded = load_run(path)
    assert len(analyse(loaded.config, loaded.items).rounds) == 2


def test_a_cut_off_run_can_be_rebuilt(killed: tuple[Path, Any]) -> None:
    path, _ = killed
    summary = rebuild(path)
    assert (summary["status"], summary["reason"]) == ("interrupted", "the run was cut off")
    assert summary["rounds"] == 2
    assert json.loads((path / "summary.json").read_text()) == summary
    assert rebuild(path) == summary


def test_a_resumed_run_goes_on_in_the_same_folder(killed: tuple[Path, Any]) -> None:
    """With another clock, beginning with round 2 once more, as from an older checkpoint."""
    path, run = killed
    run.recorder, run.now_s = RunFolder.reopen(path), 5.0
    run.event("run_started")
    run.round(2, 0.75)
    run.round(3, 0.8)
    summary: Any = run.recorder.close("finished")
    assert (summary["status"], summary["rounds"]) == ("finished", 3)
    assert [point["metric"] for point in summary["curve"]] == [0.5, 0.75, 0.8]
    assert [point["round_s"] for point in summary["curve"]] == pytest.approx([8.9, 8.9, 6.1])
    loaded = load_run(path)
    assert summarise_run(loaded)[1]["curve"] == summary["curve"]


def test_updates_kept_of_an_attempt_that_was_cut_off_go_with_it(
    tmp_path: Path, config: Config, fake_run: Fake
) -> None:
    """Another attempt may be without a client that this one had; what lies there besides stays."""
    folder = RunFolder.create(tmp_path / "r", config)
    run = fake_run(recorder=folder)
    run.start()
    run.round(1, 0.5)
    folder.checkpoint(Checkpoint({"round": 1}, {}))
    values, everything = np.zeros(2, np.float32), np.ones(2, np.bool_)
    for round_ in (1, 2, 3):
        folder.keep(round_file(round_), of_model(round_, values, everything))
        folder.keep(client_file(round_, 4), of_client(round_, 4, values))
    notes = folder.path / "updates" / "round-3" / "notes.txt"
    notes.write_text("somebody's own")
    folder.close("interrupted")
    checkpoint = read_checkpoint(folder.path / COORDINATOR)
    RunFolder.resume(folder.path, checkpoint).close("interrupted")
    assert [path.name for path in notes.parent.iterdir()] == ["notes.txt"]
    assert not (folder.path / "updates" / "round-2").exists()
    assert sorted(read_round(folder.path, 1).updates) == [4]


def test_interrupted_and_failed_say_so(tmp_path: Path, config: Config, fake_run: Fake) -> None:
    folder = RunFolder.create(tmp_path / "r", config)
    fake_run(recorder=folder).start()
    summary = folder.close("failed", "too few clients left")
    assert (summary["status"], summary["reason"]) == ("failed", "too few clients left")
    assert folder.close("finished") is summary
    with pytest.raises(ValueError, match="status"):
        folder.close("well")


@settings(max_examples=40)
@given(room=st.integers(0, 60_000))
def test_a_full_disk_leaves_no_half_file(
    tmp_path_factory: pytest.TempPathFactory, config: Config, fake_run: Fake, room: int
) -> None:
    """Whenever the disk fills up: one clear error, no exception while recording, every replaced
    file whole, and of the appended ones only the last line torn."""
    path = tmp_path_factory.mktemp("full") / "r"
    with pytest.raises(RunFolderError, match="No space left on device"):
        _record_whole(RunFolder.create(path, config, FullDisk(room)), fake_run)
    assert list(path.glob(".*")) == []
    summary, events = path / "summary.json", path / "events.jsonl"
    if summary.exists():
        assert json.loads(summary.read_text())["schema"] == 1
        kept, again = list(records.read(events)), fake_run()
        again.whole()
        assert kept == again.recorder.items[: len(kept)]


def _record_whole(folder: RunFolder, fake_run: Fake) -> None:
    fake_run(recorder=folder).whole()
    assert folder.summary()["rounds"] == 4
    folder.close("finished")


def test_not_a_folder(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="must be a run folder"):
        load_run(tmp_path / "nothing")


def test_model_is_cut_into_its_tensors(tmp_path: Path, config: Config) -> None:
    folder = RunFolder.create(tmp_path / "r", config)
    folder.write_model(np.arange(7, dtype=np.float32), {"w": (2, 3), "b": (1,)})
    kept = load_file(folder.path / "model.safetensors")
    assert kept["w"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert kept["b"].tolist() == [6]
    folder.close("finished")
    with pytest.raises(RunFolderError, match="the shapes hold 4 float32 values"):
        folder.write_model(np.zeros(7, np.float32), {"w": (2, 2)})


def test_trace_has_a_process_per_device(tmp_path: Path, config: Config, fake_run: Fake) -> None:
    folder = RunFolder.create(tmp_path / "r", config)
    fake_run(recorder=folder).whole()
    folder.close("finished")
    entries = json.load(io.StringIO((folder.path / "trace.json").read_text()))["traceEvents"]
    names = {e["pid"]: e["args"]["name"] for e in entries if e["name"] == "process_name"}
    assert names[1] == "coordinator"
    assert names[4] == "client 2 (rpi3, lan)"
    (fit,) = [e for e in entries if (e["name"], e["pid"]) == ("fit", 4) and e["args"]["round"] == 1]
    assert fit["ph"] == "X"
    assert fit["dur"] == pytest.approx(6e6)
    assert fit["args"]["full_s"] == pytest.approx(6.0)
