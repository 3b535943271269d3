"""A cohort that does not exist, SIMULATED from one real template: the ICBM152 average brain.

What is real: the template's T1 and grey matter. What is made up, all of it: a person is a random
smooth warp, age is ventricles that grow and grey matter that is lost, a scanner is a bias field, a
contrast and noise. The amounts are ours, larger than life so that small studies can learn; they are
no model of ageing, and what is learnt from these volumes says nothing about people.

Everything of a subject follows from its number alone. Must not know tasks, files or splits.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from learning.models.volumetric import Grid
from learning.resampling import (
    LOW_MM,
    SIDES_MM,
    Volume,
    axes_mm,
    resampled,
    sampled,
    scaled,
    voxels_at,
)

SUBJECTS = 10_446
"""As many as the source had of UK Biobank (arXiv 2208.11669)."""
YOUNGEST, OLDEST, MEAN_AGE = 45.0, 80.0, 62.7
"""As there; the standard deviation is 7.4, likewise."""
UNCUT_MEAN, UNCUT_DEVIATION = 62.9, 8.05
"""Of the normal distribution that, cut at the youngest and the oldest, has that mean and deviation.
"""
SITES = 8
BIOLOGY_YEARS = 2.0
"""How far a brain's apparent age is from the true one: no model can do better than this allows."""
WARP_MM = 1.0
SIZE = 0.015
VENTRICLES_MM = (0.0, -14.0, 14.0)
VENTRICLES_SPREAD_MM = 24.0
GROWTH = 0.9
"""How much wider the ventricles are at the oldest than at the youngest."""
LOSS = 0.9
"""Of grey matter at the very front, likewise, falling to nothing at the back; what goes turns into
fluid."""
PERSONAL = 0.15
"""What differs between people of one age in both, as a share of the change over all ages."""
FLUID = 0.28
"""Brightness of fluid in the template, whose brightest voxel is 1 (its ventricles)."""
BIAS, NOISE, CONTRAST = 0.05, 0.02, 0.05
COARSE = 2.0
"""Small grids are made at twice their fineness, then averaged: a warp is smoother than that."""
VERSION = 2
"""Of all of the above: other amounts are other scans."""
_SEED = 0xB4A1


@dataclass(frozen=True, slots=True)
class Template:
    """From 0 to 1, with affines from voxel numbers to mm."""

    t1: Volume
    grey: Volume
    affine: NDArray[np.float64]


def ages() -> NDArray[np.float32]:
    """Of all subjects, in years."""
    generator = np.random.default_rng([_SEED, 0xA6E])
    drawn = generator.normal(UNCUT_MEAN, UNCUT_DEVIATION, 2 * SUBJECTS)
    within = drawn[(drawn >= YOUNGEST) & (drawn <= OLDEST)][:SUBJECTS]
    return within.astype(np.float32)


def sites() -> NDArray[np.int64]:
    """Which scanner took each subject's scan."""
    return np.random.default_rng([_SEED, 0x517E]).integers(0, SITES, SUBJECTS)


class Simulator:
    """Makes one volume at a time on one grid."""

    def __init__(self, template: Template, grid: Grid) -> None:
        coarse = min(mm / n for mm, n in zip(SIDES_MM, grid, strict=True)) >= 2 * COARSE
        self._fineness = 2 if coarse else 1
        lattice = (grid[0] * self._fineness, grid[1] * self._fineness, grid[2] * self._fineness)
        maps = [resampled(part, template.affine, lattice) for part in (template.t1, template.grey)]
        self._maps = torch.from_numpy(np.stack(maps))
        self._lattice = lattice
        axes = axes_mm(list(lattice))
        self._first = torch.tensor([centres[0] for centres in axes])
        self._step = torch.tensor([centres[1] - centres[0] for centres in axes])
        self._mm = voxels_at(axes, np.eye(4))
        self._to_ventricles = self._mm - torch.tensor(VENTRICLES_MM)
        near = self._to_ventricles.square().sum(-1, keepdim=True)
        self._near_ventricles = torch.exp(-near / (2 * VENTRICLES_SPREAD_MM**2))
        low, side = LOW_MM[1], SIDES_MM[1]
        self._to_front = ((self._mm[..., 1] - low) / side).float()
        self._ages, self._sites = ages(), sites()

    def __call__(self, subject: int) -> Volume:
        generator = np.random.default_rng([_SEED, 1, subject])
        old, size, ventricles, grey = generator.normal(0.0, 1.0, 4)
        apparent = float(self._ages[subject]) + BIOLOGY_YEARS * old
        aged = (apparent - YOUNGEST) / (OLDEST - YOUNGEST)
        growth = GROWTH * (aged + PERSONAL * ventricles)
        points = self._mm * (1 + SIZE * size) - growth * self._near_ventricles * self._to_ventricles
        points = points + WARP_MM * self._field(generator, 3).permute(1, 2, 3, 0)
        voxels = ((points - self._first) / self._step).float()
        moved = sampled(self._maps, scaled(voxels, self._lattice))
        t1, matter = moved[0], moved[1]
        lost = LOSS * (aged + PERSONAL * grey)
        brain = t1 - lost * self._to_front * matter * (t1 - FLUID)
        scan = self._scanned(brain.clamp(min=0.0), int(self._sites[subject]), generator)
        return np.asarray(functional.avg_pool3d(scan[None], self._fineness)[0].numpy())

    def _scanned(
        self, brain: torch.Tensor, site: int, generator: np.random.Generator
    ) -> torch.Tensor:
        """As the site's scanner shows it: its own contrast, bias field and noise, and some more of
        each in every scan."""
        own = np.random.default_rng([_SEED, 2, site])
        contrast = 1 + CONTRAST * own.normal() + 0.3 * CONTRAST * generator.normal()
        bias = BIAS * (self._field(own, 1)[0] + 0.3 * self._field(generator, 1)[0])
        noise = NOISE * (1 + 0.3 * own.random())
        grain = generator.standard_normal(self._lattice, np.float32)
        return brain**contrast * torch.exp(bias) + noise * torch.from_numpy(grain)

    def _field(self, generator: np.random.Generator, channels: int) -> torch.Tensor:
        """Smooth noise [channels, x, y, z], of deviation 1 at the points it is spanned over."""
        spanned = generator.standard_normal((1, channels, 5, 6, 5), np.float32)
        rough = functional.interpolate(
            torch.from_numpy(spanned), size=(17, 21, 17), mode="trilinear", align_corners=True
        )
        smooth = functional.avg_pool3d(rough, 3, stride=1, padding=1, count_include_pad=False)
        field = functional.interpolate(
            smooth, size=self._lattice, mode="trilinear", align_corners=True
        )
        return field[0]
