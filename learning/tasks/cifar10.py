"""CIFAR-10 and FLuID's VGG-9 for it: official Python batches, or a folder of images a class."""

from pathlib import Path

import numpy as np

from learning.cifar import (
    CLASSES,
    OFFICIAL_MD5,
    CifarError,
    ImageFiles,
    find_images,
    read_batches,
)
from learning.examples import Images
from learning.models import vgg9
from learning.objective import Classification
from learning.partition import Labels
from learning.task import Corpus, TaskDefinition, TaskError, TaskSettings, TrainingDefaults, drawn

PIXEL_MEAN = (125.31, 122.95, 113.87)
PIXEL_DEVIATION = (62.99, 62.09, 66.70)
"""Of the 50,000 training images, a channel: the well-known 0.4914, 0.4822, 0.4465 and 0.2470,
0.2435, 0.2616 of 255."""
HOW_TO_GET = (
    "get cifar-10-python.tar.gz from cs.toronto.edu/~kriz/cifar.html, unpack it, and pass its "
    "folder with --data (or one with train/<class>/ and test/<class>/ folders of 32 x 32 images)"
)
UNPACKED = "cifar-10-batches-py"


def load(settings: TaskSettings) -> Corpus:
    if settings.data_dir is None:
        raise TaskError(f"cifar10: no data folder; {HOW_TO_GET}")
    folder = Path(settings.data_dir)
    if not folder.is_dir():
        raise TaskError(f"{folder}: no such folder; {HOW_TO_GET}")
    try:
        if (folder / "train").is_dir():
            return _of_folders(folder, settings)
        return _of_batches(folder / UNPACKED if (folder / UNPACKED).is_dir() else folder)
    except CifarError as error:
        raise TaskError(f"{error}; {HOW_TO_GET}") from error


def _of_batches(folder: Path) -> Corpus:
    names = list(OFFICIAL_MD5)
    train, test = (_images(*read_batches(folder, part)) for part in (names[:-1], names[-1:]))
    return Corpus(train, test, vgg9(len(CLASSES)), "data: CIFAR-10, the official batches (md5)")


def _of_folders(folder: Path, settings: TaskSettings) -> Corpus:
    """Only the images that will be used are decoded: all 60,000 take a minute a process."""
    train, test = find_images(folder / "train"), find_images(folder / "test")
    return Corpus(
        _decoded(train, settings.train_examples, settings.seed),
        _decoded(test, settings.test_examples, settings.seed),
        vgg9(len(CLASSES)),
        f"data: a folder of images a class, {len(train.paths)} to train and {len(test.paths)} to "
        "test; re-compressed images are not quite CIFAR-10's",
    )


def _decoded(files: ImageFiles, limit: int, seed: int) -> Images:
    chosen = drawn(len(files.paths), limit, seed)
    return _images(files.read(chosen), files.labels[chosen])


def _images(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], labels: Labels) -> Images:
    return Images(pixels, labels, PIXEL_MEAN, PIXEL_DEVIATION)


CIFAR10 = TaskDefinition(
    "cifar10",
    "60,000 photographs from --data, VGG-9 of 1,469,994 parameters",
    Classification(len(CLASSES)),
    # FLuID: batch 20, one epoch, Adam at 1e-4, 35 rounds.
    TrainingDefaults(
        rounds=35, epochs=1, batch_size=20, learning_rate=1e-4, optimiser="adam", partition="iid"
    ),
    load,
)
