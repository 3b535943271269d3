"""A scan in MNI space on another grid. Must not know files, ages or tasks.

The rule: the box of 182 x 218 x 182 mm that the usual grid of 91 x 109 x 91 cells of 2 mm covers is
divided into the asked cells. A cell's value is the mean of the scan, trilinear between its
voxels and 0 outside, at points within the cell that are 2 mm apart or closer.
"""

from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from learning.models.volumetric import Grid

LOW_MM = (-91.0, -127.0, -73.0)
"""The box's corner: its first 2 mm cell is centred at (-90, -126, -72), as in MNI152 at 2 mm."""
SIDES_MM = (182.0, 218.0, 182.0)
POINTS_MM = 2.0
Volume = NDArray[np.float32]


def resampled(scan: Volume, affine: NDArray[np.float64], grid: Grid) -> Volume:
    """`affine`: from voxel numbers to mm, as NIfTI has it."""
    fineness = [ceil(mm / n / POINTS_MM - 1e-6) for mm, n in zip(SIDES_MM, grid, strict=True)]
    fine = [n * times for n, times in zip(grid, fineness, strict=True)]
    points = voxels_at(axes_mm(fine), np.linalg.inv(affine))
    values = sampled(torch.from_numpy(scan)[None], scaled(points, scan.shape))
    return np.asarray(functional.avg_pool3d(values, fineness)[0].numpy())


def axes_mm(lattice: list[int]) -> list[NDArray[np.float64]]:
    """Where the centres of so many equal cells lie along each axis of the box."""
    sides = zip(LOW_MM, SIDES_MM, lattice, strict=True)
    return [low + (np.arange(n) + 0.5) * side / n for low, side, n in sides]


def voxels_at(axes: list[NDArray[np.float64]], to_voxels: NDArray[np.floating]) -> torch.Tensor:
    """The voxel numbers [x, y, z, 3] at every point of a lattice."""
    mesh = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    return torch.from_numpy(mesh @ to_voxels[:3, :3].T + to_voxels[:3, 3]).float()


def scaled(voxels: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Voxel numbers as torch wants them: -1 to 1 along each axis, the last axis first."""
    last = torch.tensor([side - 1 for side in shape], dtype=torch.float32)
    return (voxels * (2 / last) - 1).flip(-1)


def sampled(channels: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Channels [c, ...] at scaled points [x, y, z, 3]: [c, x, y, z]."""
    return functional.grid_sample(
        channels[None], points[None], mode="bilinear", padding_mode="zeros", align_corners=True
    )[0]
