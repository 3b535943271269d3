"""IDX files, the format of MNIST and its kin: big-endian header, then unsigned bytes.

Layout: yann.lecun.com/exdb/mnist - magic 0x0000 08 <dimensions>, one 32-bit size a dimension.
Reads and checks; must not know tasks.
"""

import gzip
import hashlib
import struct
import zlib
from math import prod
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

UNSIGNED_BYTE = 0x08


class IdxError(ValueError):
    """A file that is not the IDX file it should be: names it and the rule broken."""


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The array in the file (`.gz` or plain), which must have that many dimensions."""
    try:
        with _open(path) as file:
            return _read(path, file, dimensions)
    except (OSError, EOFError, zlib.error) as error:
        raise IdxError(f"{path}: cannot be read: {error}") from error


def _open(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    return path.open("rb")


def _read(path: Path, file: BinaryIO, dimensions: int) -> NDArray[np.uint8]:
    magic = file.read(4)
    wanted = bytes([0, 0, UNSIGNED_BYTE, dimensions])
    if magic != wanted:
        raise IdxError(f"{path}: magic number must be 0x{wanted.hex()}, found 0x{magic.hex()}")
    header = file.read(4 * dimensions)
    if len(header) != 4 * dimensions:
        raise IdxError(f"{path}: ends inside its header")
    shape = struct.unpack(f">{dimensions}I", header)
    size = prod(shape)
    # Read whatever is there, never what the header announces: a wrong header allocates nothing.
    body = file.read()
    if len(body) != size:
        raise IdxError(
            f"{path}: header says {size} bytes of shape {list(shape)}, found {len(body)}"
        )
    return np.frombuffer(body, np.uint8).reshape(shape)


def digest(path: Path) -> str:
    """SHA-256 of the file as it lies, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
