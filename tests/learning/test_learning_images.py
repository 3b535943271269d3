"""Images as users have them on their disks: CIFAR-10's official pickles, folders by class; and what
is refused, by file and rule."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from learning.cifar import CLASSES, CifarError, read_batches
from learning.task import TaskSettings
from learning.tasks import data_card, load_task
from tests.learning.refusal import refused


def rows_of(images: int) -> NDArray[np.uint8]:
    return np.random.default_rng(images).integers(0, 256, (images, 3072)).astype(np.uint8)


def batch(images: int, **changes: object) -> bytes:
    content: dict[bytes, object] = {
        b"data": rows_of(images),
        b"labels": (np.arange(images) % 10).tolist(),
    }
    content |= {key.encode(): value for key, value in changes.items()}
    return pickle.dumps(content, protocol=3)


def md5_of(content: bytes) -> str:
    import hashlib

    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def test_official_batches_are_planes_of_red_green_and_blue(tmp_path: Path) -> None:
    content = batch(20)
    (tmp_path / "data_batch_1").write_bytes(content)
    pixels, labels = read_batches(tmp_path, ["data_batch_1"], {"data_batch_1": md5_of(content)})
    rows = rows_of(20)
    assert pixels.shape == (20, 32, 32, 3)
    assert pixels[3, 5, 7].tolist() == [rows[3, p * 1024 + 5 * 32 + 7] for p in range(3)]
    assert labels.tolist() == [number % 10 for number in range(20)]


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch /tmp/never",)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (pickle.dumps(Hostile(), protocol=3), "is no batch of images: it names posix.system"),
        (pickle.dumps({b"data": Hostile()}, protocol=3), "it names posix.system"),
        (pickle.dumps([1]), "holds a list"),
        (b"", "is no batch of images"),
        (b"\x80\x02}q", "is no batch of images"),
        (batch(3, data=[1]), "data: must be an array of bytes"),
        (batch(3, data=np.zeros((3, 3072))), "data: must be an array of bytes"),
        (batch(3, data=np.zeros((3, 3071), np.uint8)), "data: rows must hold 3072 bytes"),
        (batch(3, labels=[1, 2]), "labels: must be a list, one for each of 3 images"),
        (batch(3, labels=[1, 2, 10]), "labels: must be integers from 0 to 9"),
        (batch(3, labels=[1, 2, True]), "labels: must be integers from 0 to 9"),
    ],
)
def test_batches_that_are_none_are_named(tmp_path: Path, content: bytes, rule: str) -> None:
    (tmp_path / "test_batch").write_bytes(content)
    with pytest.raises(CifarError, match=f"test_batch: .*{rule}"):
        read_batches(tmp_path, ["test_batch"], {"test_batch": md5_of(content)})


def test_a_batch_that_is_not_the_official_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data_batch_1").write_bytes(batch(3))
    refused("cifar10", tmp_path, "md5 must be c99cafc152244af753f735de768cd75f, found ")
    refused("cifar10", tmp_path / "nowhere", "no such folder")


def images(folder: Path, each: int, side: int = 32) -> Path:
    generator = np.random.default_rng(0)
    for part in ("train", "test"):
        for label, name in enumerate(CLASSES):
            (folder / part / name).mkdir(parents=True)
            for number in range(each):
                pixels = generator.integers(0, 256, (side, side, 3)).astype(np.uint8)
                pixels[0, 0] = label
                Image.fromarray(pixels).save(folder / part / name / f"{number:04}.png")
    return folder


def test_folders_of_images_are_classes_in_the_official_order(tmp_path: Path) -> None:
    wanted = TaskSettings("cifar10", str(images(tmp_path, 4)), 2, train_examples=40)
    task = load_task(wanted)
    inputs, labels = task.corpus.train.batch(np.arange(40))
    assert inputs.shape == (40, 3, 32, 32)
    corner = np.rint(inputs[:, 0, 0, 0].numpy() * 62.99 + 125.31)
    assert np.array_equal(corner, labels.numpy())
    assert "40 to train and 40 to test" in data_card(task)


def test_fewer_examples_are_drawn_by_the_seed(tmp_path: Path) -> None:
    images(tmp_path, 4)
    wanted = TaskSettings("cifar10", str(tmp_path), 1, train_examples=25, test_examples=7)
    first = load_task(wanted)
    assert (len(first.corpus.train), len(first.corpus.test)) == (25, 7)
    load_task.cache_clear()
    again = load_task(wanted)
    assert np.array_equal(first.corpus.train.labels, again.corpus.train.labels)
    other = load_task(TaskSettings("cifar10", str(tmp_path), 1, 5, train_examples=25))
    assert not np.array_equal(first.corpus.train.labels, other.corpus.train.labels)


def test_faults_of_image_folders_are_named(tmp_path: Path) -> None:
    images(tmp_path, 2)
    (tmp_path / "test" / "frog" / "0001.png").write_bytes(b"no image")
    refused("cifar10", tmp_path, "frog/0001.png: is no image")
    Image.new("RGB", (31, 32)).save(tmp_path / "test" / "frog" / "0001.png")
    refused("cifar10", tmp_path, r"frog/0001.png: must be 32 x 32, is \(31, 32\)")
    for path in (tmp_path / "test" / "frog").iterdir():
        path.unlink()
    refused("cifar10", tmp_path, "frog: holds no image")
    (tmp_path / "test" / "frog").rmdir()
    refused("cifar10", tmp_path, "must hold a folder for each of airplane, ")
