"""CIFAR-10 as it is found on disks: the official Python batches, or a folder of images a class.

Must not know tasks or clients.
"""

import hashlib
import io
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from learning.partition import Indices, Labels

SIDE = 32
CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
"""In the order of the official labels."""

OFFICIAL_MD5: Mapping[str, str] = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
"""Of the files in cifar-10-python.tar.gz (itself c58f30108f718f92721af3b95e74349a)."""

Pixels = NDArray[np.uint8]
"""[n, 32, 32, 3]."""


class CifarError(ValueError):
    """Files that are not CIFAR-10: names the file and the rule broken."""


def read_batches(
    folder: Path, names: list[str], md5: Mapping[str, str] = OFFICIAL_MD5
) -> tuple[Pixels, Labels]:
    """The images of official batches. Each file must have its known checksum."""
    parts = [_read_batch(folder / name, md5[name]) for name in names]
    pixels, labels = zip(*parts, strict=True)
    return np.concatenate(pixels), np.concatenate(labels)


def _read_batch(path: Path, md5: str) -> tuple[Pixels, Labels]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CifarError(f"{path}: cannot be read: {error.strerror}") from error
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise CifarError(f"{path}: md5 must be {md5}, found {found}: not the official file, whole")
    batch = _unpickled(path, content)
    data, labels = batch.get(b"data"), batch.get(b"labels")
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2:
        raise CifarError(f"{path}: data: must be an array of bytes, a row an image")
    if data.shape[1] != 3 * SIDE * SIDE:
        raise CifarError(f"{path}: data: rows must hold {3 * SIDE * SIDE} bytes")
    if not isinstance(labels, list) or len(labels) != len(data):
        raise CifarError(f"{path}: labels: must be a list, one for each of {len(data)} images")
    if not all(type(label) is int and 0 <= label < len(CLASSES) for label in labels):
        raise CifarError(f"{path}: labels: must be integers from 0 to 9")
    planes = data.reshape(-1, 3, SIDE, SIDE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), np.array(labels, np.int64)


class _ArraysOnly(pickle.Unpickler):
    """Loading a pickle runs whatever it names: this one may name numpy's arrays and no more."""

    _reconstruct: Callable[..., Any] = np.empty(0).__reduce__()[0]  # type: ignore[assignment]
    _known: Mapping[tuple[str, str], Any] = {
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        if (module, name) not in self._known:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return self._known[module, name]


def _unpickled(path: Path, content: bytes) -> dict[Any, Any]:
    try:
        batch = _ArraysOnly(io.BytesIO(content), encoding="bytes").load()
    except (pickle.UnpicklingError, ValueError, EOFError, TypeError, IndexError, KeyError) as error:
        raise CifarError(f"{path}: is no batch of images: {error}") from error
    if not isinstance(batch, dict):
        raise CifarError(f"{path}: is no batch of images: holds a {type(batch).__name__}")
    return batch


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """Files of one image each, sorted by class and name."""

    paths: tuple[Path, ...]
    labels: Labels

    def read(self, indices: Indices) -> Pixels:
        pixels = np.empty((len(indices), SIDE, SIDE, 3), np.uint8)
        for place, index in enumerate(indices):
            pixels[place] = _read_image(self.paths[index])
        return pixels


def find_images(folder: Path) -> ImageFiles:
    """The images in `folder`, which must hold a folder for each class and nothing else."""
    if not folder.is_dir():
        raise CifarError(f"{folder}: no such folder")
    found = sorted(path.name for path in folder.iterdir() if path.is_dir())
    if found != sorted(CLASSES):
        raise CifarError(f"{folder}: must hold a folder for each of {', '.join(CLASSES)}")
    paths, labels = [], []
    for label, name in enumerate(CLASSES):
        images = sorted(path for path in (folder / name).iterdir() if path.is_file())
        if not images:
            raise CifarError(f"{folder / name}: holds no image")
        paths += images
        labels += [label] * len(images)
    return ImageFiles(tuple(paths), np.array(labels, np.int64))


def _read_image(path: Path) -> Pixels:
    try:
        with Image.open(path) as image:
            if image.size != (SIDE, SIDE):
                raise CifarError(f"{path}: must be {SIDE} x {SIDE}, is {image.size}")
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise CifarError(f"{path}: is no image: {error}") from error
