"""Really smaller models: the part of a model that touches kept neurons only, and the way back.

A keep set leaves out positions along axes and reorders nothing, so a sub-model is a selection of
the full vector's coordinates in their own order. Must not know torch or how neurons are chosen.
"""

import numpy as np
from numpy.typing import NDArray

from learning.structure import Keep, Parameter, Structure, StructureError, Vector


class SubModel:
    """The coordinates of a model that remain under a keep set."""

    def __init__(self, structure: Structure, keep: Keep) -> None:
        self.structure = structure
        self.widths = structure.widths(keep)
        masks = [_kept(structure, parameter, keep) for parameter in structure.parameters]
        self.shapes = {
            parameter.name: shape
            for parameter, (_, shape) in zip(structure.parameters, masks, strict=True)
        }
        self.mask: NDArray[np.bool_] = np.concatenate([mask.ravel() for mask, _ in masks])
        """Which coordinates of the full vector the sub-model has."""
        self.size = int(np.count_nonzero(self.mask))

    def extract(self, vector: Vector) -> Vector:
        """The sub-model's own vector."""
        self.structure.require(vector)
        return vector[self.mask]

    def expand(self, update: Vector) -> Vector:
        """A sub-model's update at full length, zero where the sub-model has nothing."""
        if update.shape != (self.size,):
            raise StructureError(f"expected [{self.size}], got {list(update.shape)}")
        full = np.zeros(self.structure.size, np.float32)
        full[self.mask] = update
        return full

    def named(self, vector: Vector) -> dict[str, Vector]:
        """The sub-model's tensors as views into its own vector."""
        if vector.shape != (self.size,):
            raise StructureError(f"expected [{self.size}], got {list(vector.shape)}")
        tensors: dict[str, Vector] = {}
        start = 0
        for name, shape in self.shapes.items():
            size = int(np.prod(shape))
            tensors[name] = vector[start : start + size].reshape(shape)
            start += size
        return tensors


def _kept(
    structure: Structure, parameter: Parameter, keep: Keep
) -> tuple[NDArray[np.bool_], tuple[int, ...]]:
    """Which of a tensor's coordinates are kept, and the shape that remains."""
    mask = np.ones(parameter.shape, np.bool_)
    shape = list(parameter.shape)
    for axis_number, axis in structure.prunable_axes(parameter):
        if axis.group not in keep:
            continue
        kept = np.zeros(structure.sizes[axis.group], np.bool_)
        kept[keep[axis.group]] = True
        positions = kept[axis.neurons]
        across = [1] * len(shape)
        across[axis_number] = len(positions)
        mask &= positions.reshape(across)
        shape[axis_number] = int(np.count_nonzero(positions))
    return mask, tuple(shape)
