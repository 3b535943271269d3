"""`attack` from the command line: on a run that kept its updates, on one that could not, and one
line for whatever cannot be attacked."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commands.resolved import config
from commands.settings import RunSettings
from commands.study import Study, prepare
from protocol.telemetry import Event, Json
from runs.attack_rows import together
from runs.checkpoint import Checkpoint, write_checkpoint
from runs.disk import Disk
from runs.folder import RunFolder
from runs.updates import client_file, of_client, of_model, round_file
from tests.commands.conftest import Command, one_line, words

Fleet = Callable[[int], str]
ATTACK = "attack {run} --examples 20 --json"
SETTINGS = RunSettings(
    strategy="fedsparsify-global",
    rounds=2,
    clock="virtual",
    train_examples=64,
    epochs=1,
    sparsity=0.5,
    aggregation="plain",
    keep_updates="last",
)


@pytest.fixture(scope="module")
def runs(fast_fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`plain`, which kept its updates, and `secagg`: two rounds of two clients with the same model,
    as if they had been played."""
    folder = tmp_path_factory.mktemp("attacked")
    chosen = replace(SETTINGS, profile=fast_fleet(2))
    _made(folder / "plain", prepare(chosen))
    _made(folder / "secagg", prepare(replace(chosen, aggregation="secagg", keep_updates="none")))
    return folder


def _made(path: Path, study: Study) -> None:
    drawn = np.random.default_rng(0)
    kept = drawn.random(study.task.structure.size) < 0.5
    before = np.where(kept, study.task.model.initial_vector(0), np.float32(0))
    updates = [drawn.normal(0, 1e-3, before.size).astype(np.float32) * kept for _ in range(2)]
    folder = RunFolder.create(path, config(study))
    folder.record(Event("run_started", 0, None, 0.0))
    for round_ in (1, 2):
        notes: dict[str, Json] = {"survivors": [0, 1], "participants": [0, 1]}
        folder.record(Event("round_finished", round_, None, 1.0 * round_, notes))
    for round_ in study.kept_rounds:
        folder.keep(round_file(round_), of_model(round_, before[kept], kept))
        for client, update in enumerate(updates):
            folder.keep(client_file(round_, client), of_client(round_, client, update[kept]))
    shapes = {p.name: p.shape for p in study.task.structure.parameters}
    folder.write_model(before + (updates[0] + updates[1]) / np.float32(2), shapes)
    folder.close("finished")


def test_single_updates_and_what_masks_leave_of_them(command: Command, runs: Path) -> None:
    ended = command(
        *words(
            "attack {run} {masked} --examples 20 --shadows 1 --json",
            run=runs / "plain",
            masked=runs / "secagg",
        )
    )
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    plain, masked = told["runs"]
    assert plain == json.loads((runs / "plain/attack.json").read_text())
    assert plain["model_sha256"] == masked["model_sha256"]
    assert _targets(plain) == {
        ("initial model", "used"): {"loss", "white-box"},
        ("global model", "used"): {"loss", "shadow", "white-box"},
        ("update", "used"): {"loss", "shadow", "gain", "white-box"},
        ("sum", "used"): {"loss", "shadow", "gain", "white-box"},
        ("update", "whose"): {"loss", "shadow", "gain", "white-box"},
    }
    assert set(_targets(masked)) == {("initial model", "used"), ("global model", "used")}
    assert plain["sizes"] == {
        "used": 64, "test": 359, "members": 20, "others": 20,
        "shadows": 1, "shadow_examples": 64, "shadow_clients": 2,
    }  # fmt: skip
    for target in plain["targets"]:
        for found in target["attacks"].values():
            assert found["auc"]["low"] <= found["auc"]["value"] <= found["auc"]["high"]
            assert found["tpr"]["0.01"] is None  # of 20 others
    sparsities = [target["sparsity"] for target in plain["targets"]]
    assert sparsities[1:] == pytest.approx([0.5] * 4, abs=2e-3)
    assert {each["attack"] for each in plain["update_less_sum"]} == set(
        plain["targets"][2]["attacks"]
    )
    of_plain, of_masked = told["blocks"]
    assert of_masked["seen_in_plain"]
    assert "no single update is visible" in of_masked["remarks"][0]
    assert of_plain["columns"][0]["sparsity"] == 0.5
    page = runs / "page.html"
    again = command(*words(ATTACK + " --shadows 1 --out {page}", run=runs / "plain", page=page))
    assert "AUC by white-box" in page.read_text()
    assert "update of round 2, whose: 0." in page.read_text()
    assert "judged before" in again.err
    assert json.loads(again.out)["runs"] == [plain]


def _targets(result: Any) -> dict[tuple[str, str], set[str]]:  # noqa: ANN401
    return {(t["target"], t["question"]): set(t["attacks"]) for t in result["targets"]}


def test_the_table_fits_a_narrow_terminal(
    command: Command, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ended = command(*words("attack {run} --examples 20 --shadows 0", run=runs / "secagg"))
    assert ended.code == 0, ended.err
    told = [line for line in ended.out.splitlines() if not line.startswith("all figures: ")]
    assert max(map(len, told)) <= 80  # a path stays whole, to be copied
    assert "digits · fedsparsify-global · secagg" in ended.out
    assert "global model" in ended.out
    assert "…" not in ended.out


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("attack {runs}/none", "{runs}/none/summary.json: cannot be read (No such file"),
        ("attack {runs}/plain --examples 19", "--examples: must be at least 20, got 19"),
        ("attack {runs}/plain --shadows -1", "--shadows: must be from 0 to 256, got -1"),
        ("attack {runs}/killed", "{runs}/killed/summary.json: status: is interrupted: only"),
        ("attack {runs}/bare", "{runs}/bare/model.safetensors: cannot be read (No such file"),
        ("attack {runs}/other", "{runs}/other/model.safetensors: must be a model of digits: "),
        ("attack {runs}/modelled", "{runs}/modelled/config.toml: run: training: modelled: its"),
        ("attack {runs}/torn", "{runs}/torn/updates/round-2/client-1.safetensors: values: must"),
        ("attack {runs}/plain --shadows 0 --out {runs}/no/x", "--out: {runs}/no/x: must be in"),
        ("attack {runs}/far", "{runs}/nowhere: no such folder"),
        ("run --set keep_updates=last", "keep_updates: last: under secagg the coordinator sees"),
        (
            "run --set aggregation=plain --set keep_updates=7",
            "keep_updates: must be none, last, or rounds from 1 to 6",
        ),
        (
            "run --clock virtual --set aggregation=plain --set keep_updates=2 --set"
            " training=modelled",
            "keep_updates: 2: modelled training has no updates",
        ),
    ],
)
def test_what_cannot_be_attacked_says_why(
    command: Command, runs: Path, line: str, rule: str
) -> None:
    _spoilt(runs)
    ended = command(*words(line, runs=runs))
    assert ended.code == 2
    assert one_line(ended).startswith(rule.format(runs=runs))


def _spoilt(runs: Path) -> None:
    """Run folders with something wrong, made of the good one."""
    if (runs / "torn").exists():
        return
    plain = runs / "plain"
    config, summary = (plain / "config.toml").read_text(), (plain / "summary.json").read_text()
    changed = {
        "killed": (config, summary.replace('"finished"', '"interrupted"')),
        "bare": (config, summary),
        "other": (config, summary),
        "modelled": (config.replace('training = "computed"', 'training = "modelled"'), summary),
        "far": (
            config.replace('task = "digits"', f'task = "fashion-mnist"\ndata = "{runs}/nowhere"'),
            summary,
        ),
        "torn": (config, summary),
    }
    for name, (its_config, its_summary) in changed.items():
        folder = runs / name
        folder.mkdir()
        (folder / "config.toml").write_text(its_config)
        (folder / "summary.json").write_text(its_summary)
    (runs / "other/model.safetensors").write_bytes(b"no model")
    (runs / "torn/model.safetensors").write_bytes((plain / "model.safetensors").read_bytes())
    shutil.copytree(plain / "updates", runs / "torn/updates")
    round_2 = runs / "torn/updates/round-2"
    shutil.copy(round_2 / "model.safetensors", round_2 / "client-0.safetensors")
    cut = Checkpoint({}, {"values": np.zeros(5, np.float32)})
    write_checkpoint(round_2 / "client-1.safetensors", cut, Disk())


def test_seeds_together() -> None:
    """Of three seeds Student's interval, 4.303 s / sqrt(3); of one its own; never narrower than
    the examples leave the mean."""

    def of(value: float, half: float) -> dict[str, object]:
        return {"value": value, "low": value - half, "high": value + half}

    found: Any = together([of(0.5, 0.01), of(0.6, 0.01), of(0.7, 0.01)])
    assert found["value"] == pytest.approx(0.6)
    assert found["high"] - 0.6 == pytest.approx(4.303 * 0.1 / 3**0.5)
    alike: Any = together([of(0.6, 0.09), of(0.6, 0.09), of(0.6, 0.09)])
    assert alike["high"] - 0.6 == pytest.approx(0.09 / 3**0.5)
    assert together([of(0.6, 0.1)]) == of(0.6, 0.1)
    assert together([of(0.6, 0.1), {}]) is None
