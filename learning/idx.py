"""IDX files, the format of MNIST and its kin: big-endian header, then the array row by row.

Layout: yann.lecun.com/exdb/mnist - magic 0x0000 <type> <dimensions>, one 32-bit size a dimension.
Reads and checks; must not know tasks.
"""

import gzip
import hashlib
import struct
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

_TYPES: dict[int, np.dtype[Any]] = {8: np.dtype(np.uint8), 12: np.dtype(">i4")}
UNSIGNED_BYTE, SIGNED_INTEGER = _TYPES

_PREFIXES = {"train": ("train",), "test": ("t10k", "test")}


class IdxError(ValueError):
    """A file that is not the IDX file it should be: names it and the rule broken."""


@dataclass(frozen=True, slots=True, eq=False)
class IdxPart:
    """Images of `side` x `side` and their labels, from a folder's train or test part."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    files: tuple[Path, Path]


def read_part(folder: Path, part: str, side: int, classes: int) -> IdxPart:
    """The `train` or `test` images of an MNIST-shaped folder, by the usual names: as
    `train-images-idx3-ubyte`, `t10k-labels.idx1-ubyte.gz`, or with a prefix as in
    `emnist-byclass-test-images-idx3-ubyte.gz`."""
    files = (_find(folder, part, "images", 3), _find(folder, part, "labels", 1))
    images, labels = read_idx(files[0], 3), read_idx(files[1], 1)
    if len(images) == 0 or images.shape[1:] != (side, side):
        raise IdxError(f"{files[0]}: images must be {side} x {side}, found {list(images.shape)}")
    if len(labels) != len(images):
        raise IdxError(f"{files[1]}: {len(labels)} labels for {len(images)} images")
    if labels.max() >= classes:
        raise IdxError(f"{files[1]}: labels must be below {classes}, found {labels.max()}")
    return IdxPart(cast("NDArray[np.uint8]", images), labels.astype(np.int64), files)


def _find(folder: Path, part: str, kind: str, dimensions: int) -> Path:
    """The one file of a part."""
    found = []
    for path in sorted(folder.iterdir()):
        words = path.name.lower().removesuffix(".gz").replace(".", "-").split("-")
        if words[-1] == "ubyte" and kind in words and not {*_PREFIXES[part]}.isdisjoint(words):
            found.append(path)
    if not found:
        name = f"{_PREFIXES[part][0]}-{kind}-idx{dimensions}-ubyte"
        raise IdxError(f"{folder}: no {name} or {name}.gz")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise IdxError(f"{folder}: more than one file for {part} {kind}: {names}")
    return found[0]


def read_idx(path: Path, dimensions: int, kind: int = UNSIGNED_BYTE) -> NDArray[Any]:
    """The array in the file (`.gz` or plain), which must have that many dimensions and hold
    numbers of that kind."""
    try:
        with _open(path) as file:
            return _read(path, file, dimensions, kind)
    except (OSError, EOFError, zlib.error) as error:
        raise IdxError(f"{path}: cannot be read: {error}") from error


def _open(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    return path.open("rb")


def _read(path: Path, file: BinaryIO, dimensions: int, kind: int) -> NDArray[Any]:
    magic = file.read(4)
    wanted = bytes([0, 0, kind, dimensions])
    if magic != wanted:
        raise IdxError(f"{path}: magic number must be 0x{wanted.hex()}, found 0x{magic.hex()}")
    header = file.read(4 * dimensions)
    if len(header) != 4 * dimensions:
        raise IdxError(f"{path}: ends inside its header")
    shape = struct.unpack(f">{dimensions}I", header)
    size = prod(shape) * _TYPES[kind].itemsize
    # Read whatever is there, never what the header announces: a wrong header allocates nothing.
    body = file.read()
    if len(body) != size:
        raise IdxError(
            f"{path}: header says {size} bytes of shape {list(shape)}, found {len(body)}"
        )
    return np.frombuffer(body, _TYPES[kind]).reshape(shape)


def digest(path: Path) -> str:
    """SHA-256 of the file as it lies, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
