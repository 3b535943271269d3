"""NIfTI volumes, by way of nibabel, which only tasks that read them need. Must not know cohorts."""

import gzip
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.resampling import Volume

MOST_VOXELS = 512**3
HOW_TO_GET = "pip install 'straggler-testbed[brain]'"


class NiftiError(ValueError):
    """A volume that cannot be used: one line with the file and the rule it breaks."""


def read_nifti(path: Path) -> tuple[Volume, NDArray[np.float64]]:
    """A volume of three axes and its affine, from voxel numbers to mm."""
    library = _nibabel(path)
    try:
        return _checked(library.load(path), str(path))
    except (OSError, EOFError, library.filebasedimages.ImageFileError) as error:
        raise NiftiError(f"{path}: not readable as NIfTI: {error}") from error


def of_bytes(content: bytes, name: str) -> tuple[Volume, NDArray[np.float64]]:
    """Likewise, from a compressed file's content."""
    image = _nibabel(name).Nifti1Image.from_bytes(gzip.decompress(content))
    return _checked(image, name)


def _nibabel(name: object) -> Any:  # noqa: ANN401
    """Imported only here, as it takes a tenth of a second that no other task should pay."""
    if find_spec("nibabel") is None:
        raise NiftiError(f"{name}: reading it needs nibabel: {HOW_TO_GET}")
    import nibabel

    return nibabel


def _checked(image: Any, name: str) -> tuple[Volume, NDArray[np.float64]]:  # noqa: ANN401
    shape = tuple(int(side) for side in image.shape)
    if len(shape) != 3 or min(shape) < 2:
        raise NiftiError(f"{name}: shape: must have three axes of at least 2, got {shape}")
    if np.prod(shape, dtype=np.int64) > MOST_VOXELS:
        raise NiftiError(f"{name}: shape: at most {MOST_VOXELS:,} voxels, got {shape}")
    affine = np.asarray(image.affine, np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine)) < 1e-9:
        raise NiftiError(f"{name}: affine: must be finite and invertible")
    volume = np.asarray(image.dataobj, np.float32)
    if not np.isfinite(volume).all():
        raise NiftiError(f"{name}: voxels: must be finite")
    if volume.min() == volume.max():
        raise NiftiError(f"{name}: voxels: are all the same")
    return volume, affine
