"""Tasks: what loads, what is said about it, and what is refused."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from learning.examples import Examples, Images
from learning.structure import StructureError
from learning.task import TaskError, TaskSettings
from learning.tasks import TASKS, data_card, initial_vector, load_task

IMAGES = np.random.default_rng(0).integers(0, 256, (60, 28, 28)).astype(np.uint8)
LABELS = np.arange(60, dtype=np.uint8) % 12


def idx(array: np.ndarray, magic: int | None = None) -> bytes:
    magic = 0x0800 + array.ndim if magic is None else magic
    return struct.pack(f">{array.ndim + 1}I", magic, *array.shape) + array.tobytes()


def folder_of(path: Path, **replaced: bytes) -> Path:
    files = {
        "train-images-idx3-ubyte": idx(IMAGES),
        "train-labels-idx1-ubyte": idx(LABELS),
        "t10k-images-idx3-ubyte": idx(IMAGES[:20]),
        "t10k-labels-idx1-ubyte": idx(LABELS[:20]),
    }
    for name, content in files.items():
        (path / name).write_bytes(replaced.get(name.split("-idx")[0].replace("-", "_"), content))
    return path


def pixels_of(examples: Examples) -> np.ndarray:
    assert isinstance(examples, Images)
    return examples.pixels


def settings(path: Path | None, clients: int = 3) -> TaskSettings:
    return TaskSettings("femnist", None if path is None else str(path), clients)


def test_digits_are_stratified_and_repeatable() -> None:
    task = load_task(TaskSettings("digits", seed=3))
    train, test = task.corpus.train, task.corpus.test
    assert len(train) + len(test) == 1797
    everyone = np.bincount(train.labels) + np.bincount(test.labels)
    assert np.array_equal(np.bincount(test.labels), np.round(everyone / 5))
    load_task.cache_clear()
    again = load_task(TaskSettings("digits", seed=3))
    assert np.array_equal(pixels_of(again.corpus.train), pixels_of(train))
    assert all(np.array_equal(a, b) for a, b in zip(again.shares, task.shares, strict=True))


def test_digits_inputs_are_standardised_images() -> None:
    task = load_task(TaskSettings("digits"))
    inputs, labels = task.corpus.train.batch(np.arange(len(task.corpus.train)))
    assert inputs.shape == (len(labels), 1, 28, 28)
    assert abs(float(inputs.mean())) < 0.02
    assert abs(float(inputs.std()) - 1) < 0.02
    assert task.structure.size >= 400_000


def test_clients_hold_balanced_shares_of_their_own() -> None:
    task = load_task(TaskSettings("digits", clients=20))
    assert {task.examples(client) for client in range(20)} == {71, 72}
    for client in (-1, 20):
        with pytest.raises(TaskError, match=f"no client {client} of 20"):
            task.share(client)


def test_initial_vector_follows_from_the_settings() -> None:
    one, same, other = (initial_vector(TaskSettings("digits", seed=s)) for s in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_data_card_counts_and_names_the_split() -> None:
    card = data_card(load_task(TaskSettings("digits", clients=4, partition="dirichlet", alpha=0.5)))
    assert "train 1438, test 359, 10 labels present" in card
    assert "dirichlet (alpha 0.5) over 4 clients, seed 0" in card
    counts = card.split("examples per client: ")[1].splitlines()[0].split()
    assert sum(map(int, counts)) == 1438


def test_idx_folder_loads(tmp_path: Path) -> None:
    task = load_task(settings(folder_of(tmp_path)))
    assert np.array_equal(pixels_of(task.corpus.train), IMAGES)
    assert np.array_equal(task.corpus.test.labels, LABELS[:20])
    assert task.structure.size == 410_022
    assert "12 labels present" in data_card(task)
    assert "not LEAF's FEMNIST" in data_card(task)


def test_emnist_names_and_gzip_load(tmp_path: Path) -> None:
    for path in list(folder_of(tmp_path).iterdir()):
        name = "emnist-byclass-" + path.name.replace("t10k", "test") + ".gz"
        (tmp_path / name).write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    task = load_task(settings(tmp_path))
    assert np.array_equal(pixels_of(task.corpus.train), IMAGES)
    assert "EMNIST" in task.corpus.card


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("train_images", idx(IMAGES, magic=0x0801), "train-images.* must be 0x00000803, found 0x0"),
        ("train_images", b"", "must be 0x00000803"),
        ("train_images", idx(IMAGES)[:9], "ends inside its header"),
        ("train_images", idx(IMAGES)[:-1], "header says 47040 bytes .* found 47039"),
        ("train_images", idx(IMAGES) + b"x", "header says 47040 bytes .* found 47041"),
        ("train_images", idx(IMAGES)[:4] + b"\xff" * 12, "header says .* found 0"),
        ("train_images", idx(IMAGES[:, :14]), r"must be 28 x 28, found \[60, 14, 28\]"),
        ("train_images", idx(IMAGES[:0]), "must be 28 x 28"),
        ("t10k_labels", idx(LABELS), "t10k-labels.*: 60 labels for 20 images"),
        ("t10k_labels", idx(IMAGES[:20]), "t10k-labels.* must be 0x00000801"),
        ("train_labels", idx(LABELS + 51), "train-labels.*: labels must be below 62, found 62"),
    ],
)
def test_wrong_files_are_named_with_the_rule(
    tmp_path: Path, name: str, content: bytes, rule: str
) -> None:
    with pytest.raises(TaskError, match=rule) as error:
        load_task(settings(folder_of(tmp_path, **{name: content})))
    assert "\n" not in str(error.value)


def test_a_broken_gzip_is_named(tmp_path: Path) -> None:
    folder_of(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes())[:-20])
    path.unlink()
    with pytest.raises(TaskError, match=r"train-images-idx3-ubyte\.gz: cannot be read"):
        load_task(settings(tmp_path))


def test_missing_data_says_how_to_get_it(tmp_path: Path) -> None:
    for path in (None, tmp_path / "nowhere", tmp_path):
        with pytest.raises(TaskError, match=r"make data.*--data") as error:
            load_task(settings(path))
        assert "\n" not in str(error.value)


def test_two_data_sets_in_one_folder_are_refused(tmp_path: Path) -> None:
    folder_of(tmp_path)
    (tmp_path / "emnist-letters-train-images-idx3-ubyte.gz").write_bytes(b"")
    with pytest.raises(TaskError, match="more than one file for train images"):
        load_task(settings(tmp_path))


@pytest.mark.parametrize(
    ("wanted", "rule"),
    [
        (TaskSettings("mnist"), "task must be one of digits, cifar10, .*: 'mnist'"),
        (TaskSettings("digits", data_dir="x"), "takes no --data"),
        (TaskSettings("digits", partition="x"), "digits: partition must be one of"),
        (TaskSettings("digits", clients=144), "digits: 144 clients with 10 examples each"),
    ],
)
def test_illegal_settings(wanted: TaskSettings, rule: str) -> None:
    with pytest.raises(TaskError, match=rule):
        load_task(wanted)


def test_every_task_is_in_the_table_under_its_name() -> None:
    assert all(name == task.name for name, task in TASKS.items())
    assert not issubclass(TaskError, StructureError)
