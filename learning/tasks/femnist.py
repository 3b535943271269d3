"""Handwritten characters and LEAF's network for them: FEMNIST itself as LEAF's JSON, or
MNIST-shaped IDX files of the user's own.

FEMNIST (characters by writer) can be had from LEAF only. EMNIST ByClass holds the same characters
without the writers; MNIST its digits, by writer where QMNIST's labels lie beside it. The data card
says what the folder really held.
"""

from pathlib import Path

import numpy as np

from learning.examples import Images
from learning.idx import SIGNED_INTEGER, IdxError, digest, read_idx, read_part
from learning.leaf import LeafError, User, is_leaf, read_users
from learning.models import femnist_cnn
from learning.objective import Classification
from learning.partition import Labels
from learning.task import Corpus, TaskDefinition, TaskError, TaskSettings, TrainingDefaults

CLASSES = 62
SIDE = 28
PIXEL_MEAN, PIXEL_DEVIATION = 33.3, 78.6
"""MNIST's well-known 0.1307 and 0.3081 of 255; near enough for its kin."""
LEAF_MEAN, LEAF_DEVIATION = 245.7, 40.0
"""LEAF's characters are black on white: most pixels are 1.0. Near enough; constants, so that
they do not depend on whose data is there (our choice)."""
HOW_TO_GET = (
    "get FEMNIST by LEAF's own scripts (github.com/TalwalkarLab/leaf), MNIST by `make data` or "
    "EMNIST (nist.gov/itl/products-and-services/emnist-dataset), and pass its folder with --data"
)
WRITERS = "qmnist-train-labels-idx2-int"
WRITER_COLUMN = 2


def load(settings: TaskSettings) -> Corpus:
    if settings.data_dir is None:
        raise TaskError(f"femnist: no data folder; {HOW_TO_GET}")
    folder = Path(settings.data_dir)
    if not folder.is_dir():
        raise TaskError(f"{folder}: no such folder; {HOW_TO_GET}")
    try:
        return _of_leaf(folder) if is_leaf(folder) else _of_idx(folder)
    except (IdxError, LeafError) as error:
        raise TaskError(f"{error}; {HOW_TO_GET}") from error


def _of_idx(folder: Path) -> Corpus:
    train, test = (read_part(folder, part, SIDE, CLASSES) for part in ("train", "test"))
    paths = [*train.files, *test.files]
    writers = _writers(folder, train.labels)
    sums = " ".join(f"{path.name}:{digest(path)[:16]}" for path in paths)
    if writers is not None:
        kind = f"MNIST by writer ({len(np.unique(writers))} writers of QMNIST), not LEAF's FEMNIST"
    elif "emnist" in paths[0].name:
        kind = "EMNIST by its names, not LEAF's FEMNIST: no writers are known"
    else:
        kind = "MNIST-shaped images, not LEAF's FEMNIST: no writers are known"
    return Corpus(
        Images(train.images, train.labels, PIXEL_MEAN, PIXEL_DEVIATION),
        Images(test.images, test.labels, PIXEL_MEAN, PIXEL_DEVIATION),
        femnist_cnn(CLASSES),
        f"data: {kind}; sha256 {sums}",
        writers,
    )


def _writers(folder: Path, labels: Labels) -> Labels | None:
    """Who wrote each of MNIST's training images, if QMNIST's table is there: its first column
    must be MNIST's labels, in order (arXiv 1905.10498)."""
    for path in (folder / WRITERS, folder / f"{WRITERS}.gz"):
        if path.is_file():
            table = read_idx(path, 2, SIGNED_INTEGER)
            if table.shape[1] <= WRITER_COLUMN or not np.array_equal(table[:, 0], labels):
                raise IdxError(f"{path}: its first column must be the training labels, in order")
            writers = table[:, WRITER_COLUMN]
            return np.unique(writers, return_inverse=True)[1].astype(np.int64)
    return None


def _of_leaf(folder: Path) -> Corpus:
    train, train_users = _leaf_part(folder / "train")
    test, _ = _leaf_part(folder / "test")
    return Corpus(
        train,
        test,
        femnist_cnn(CLASSES),
        f"data: LEAF's FEMNIST JSON, {train_users.max() + 1} writers",
        train_users,
    )


def _leaf_part(folder: Path) -> tuple[Images, Labels]:
    images, labels, users = [], [], []
    for number, user in enumerate(read_users(folder)):
        pixels, characters = _leaf_user(user)
        images.append(pixels)
        labels.append(characters)
        users.append(np.full(len(characters), number, np.int64))
    if not images:
        raise LeafError(f"{folder}: holds no user")
    return (
        Images(np.concatenate(images), np.concatenate(labels), LEAF_MEAN, LEAF_DEVIATION),
        np.concatenate(users),
    )


def _leaf_user(user: User) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], Labels]:
    """LEAF's pixels are bytes over 255: kept as bytes, an eighth of their size as floats."""
    where = f"{user.path}: user_data.{user.name}"
    try:
        pixels = np.array(user.x, np.float64)
        labels = np.array(user.y, np.int64)
    except (ValueError, TypeError, OverflowError) as error:
        raise LeafError(f"{where}: x and y must hold numbers only") from error
    if pixels.shape != (len(labels), SIDE * SIDE) and len(labels):
        raise LeafError(f"{where}: x: must hold {SIDE * SIDE} pixels a sample")
    if not ((pixels >= 0) & (pixels <= 1)).all():
        raise LeafError(f"{where}: x: pixels must be from 0 to 1")
    if not ((labels >= 0) & (labels < CLASSES)).all():
        raise LeafError(f"{where}: y: labels must be from 0 to {CLASSES - 1}")
    return np.rint(pixels * 255).astype(np.uint8).reshape(-1, SIDE, SIDE), labels


FEMNIST = TaskDefinition(
    "femnist",
    "handwritten characters from --data, LEAF's FEMNIST CNN of 410,022 parameters",
    Classification(CLASSES),
    # FLuID trains FEMNIST with batch 10, one epoch, SGD 0.004 for 250 rounds; the rate is ours,
    # raised for a short run.
    TrainingDefaults(
        rounds=20, epochs=1, batch_size=10, learning_rate=0.05, optimiser="sgd", partition="natural"
    ),
    load,
)
