"""Scans as they are trained on, kept in one file beside the data, so that every later process maps
it into memory in place of preparing them again. Must not know where scans come from.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from learning.models.volumetric import Grid
from learning.resampling import Volume

FOLDER = "prepared"
Scans = NDArray[np.float16]
"""[n, x, y, z], each with mean 0 and standard deviation 1: half precision is 0.001 of that."""


class PreparedError(ValueError):
    """Scans that cannot be kept, or not be used. One line."""


def prepared(
    folder: Path, name: str, count: int, grid: Grid, make: Callable[[int], Volume]
) -> Scans:
    """`name`: tells all these scans from any others. The file is whole or not there."""
    path = folder / FOLDER / f"{name}.npy"
    if not path.is_file():
        try:
            _write(path, count, grid, make)
        except OSError as error:
            raise PreparedError(f"{path}: prepared scans are kept there: {error}") from error
    try:
        scans: Scans = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise PreparedError(f"{path}: not readable, delete it: {error}") from error
    if scans.shape != (count, *grid) or scans.dtype != np.float16:
        raise PreparedError(f"{path}: holds other scans: delete it")
    return scans


def _write(path: Path, count: int, grid: Grid, make: Callable[[int], Volume]) -> None:
    path.parent.mkdir(exist_ok=True)
    begun = path.with_name(f"{path.stem}.{os.getpid()}.part")
    try:
        scans = np.lib.format.open_memmap(begun, "w+", np.float16, (count, *grid))
        for index in range(count):
            scans[index] = standardised(make(index))
        scans.flush()
        begun.replace(path)
    finally:
        begun.unlink(missing_ok=True)


def standardised(volume: Volume) -> Volume:
    """Over all its voxels, air included. Raises PreparedError for a constant one."""
    deviation = volume.std(dtype=np.float64)
    if not deviation > 0:
        raise PreparedError("nothing of the scan lies within the grid")
    scaled: Volume = ((volume - volume.mean(dtype=np.float64)) / deviation).astype(np.float32)
    return scaled
