"""Handwritten digits: 1,797 images of 8 x 8 that ship with scikit-learn, scaled to 28 x 28.

The default task, because it is always there. Scaled up so that a CNN of 0.4 M parameters has
work to do: compute must dominate on slow devices, or there is nothing to prune for.
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from learning.examples import Images
from learning.models import femnist_cnn
from learning.objective import Classification
from learning.partition import Indices, Labels
from learning.task import (
    Corpus,
    TaskDefinition,
    TaskError,
    TaskSettings,
    TrainingDefaults,
)

CLASSES = 10
SHA256 = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"
"""Of digits.csv.gz as scikit-learn ships it (1.9.1; unchanged for years)."""

PIXEL_MEAN, PIXEL_DEVIATION = 4.884, 5.195
"""Of all scaled images (pixels 0..16); constants, so that they do not depend on the split."""


def load(settings: TaskSettings) -> Corpus:
    """80 % of each digit's images to train, the rest to test, drawn by the run's seed."""
    if settings.data_dir is not None:
        raise TaskError("digits: takes no --data, it ships with scikit-learn")
    path = _path()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256:
        raise TaskError(f"{path}: sha256 {digest} is not the known {SHA256}")
    table = np.loadtxt(path, delimiter=",")
    small = torch.from_numpy(table[:, :64].astype(np.float32)).reshape(-1, 1, 8, 8)
    large = torch.nn.functional.interpolate(small, size=(28, 28), mode="bilinear")
    images = large[:, 0].numpy()
    labels = table[:, 64].astype(np.int64)
    train, test = _stratified(labels, settings.seed)
    return Corpus(
        Images(images[train], labels[train], PIXEL_MEAN, PIXEL_DEVIATION),
        Images(images[test], labels[test], PIXEL_MEAN, PIXEL_DEVIATION),
        femnist_cnn(CLASSES),
        "data: digits of scikit-learn (UCI optical recognition of handwritten digits, test part), "
        f"8 x 8 scaled to 28 x 28, sha256 {digest[:16]}",
    )


def _path() -> Path:
    """The file is read where it lies: importing sklearn.datasets takes 1.6 s a process."""
    found = find_spec("sklearn")
    if found is None or not found.submodule_search_locations:
        raise TaskError("digits: scikit-learn is not installed; pip install scikit-learn")
    path = Path(found.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
    if not path.is_file():
        raise TaskError(f"{path}: missing; reinstall scikit-learn")
    return path


def _stratified(labels: Labels, seed: int) -> tuple[Indices, Indices]:
    """Train and test examples, ascending: a fifth of every label is kept for testing."""
    generator = np.random.default_rng([seed, 0x7E57])  # a stream of its own beside other seeds
    test: list[Indices] = []
    for label in range(CLASSES):
        members = generator.permutation(np.flatnonzero(labels == label))
        test.append(members[: round(len(members) / 5)])
    held = np.zeros(len(labels), np.bool_)
    held[np.concatenate(test)] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


DIGITS = TaskDefinition(
    "digits",
    "1,797 handwritten digits (ships with a dependency), CNN of 403,730 parameters",
    Classification(CLASSES),
    TrainingDefaults(rounds=6, epochs=2, batch_size=10, learning_rate=0.05, optimiser="sgd"),
    load,
)
