"""Some of a model's coordinates, in their own order: what travels, or what is trained.

Must not know who chose them or why.
"""

import numpy as np
from numpy.typing import NDArray

from learning.structure import StructureError, Vector

Kept = NDArray[np.bool_]
"""A bit for each coordinate of the whole model."""


class Selection:
    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.size = int(np.count_nonzero(kept))

    def extract(self, vector: Vector) -> Vector:
        """The selected values of a whole vector."""
        if vector.shape != self.kept.shape:
            raise StructureError(f"expected [{self.kept.size}], got {list(vector.shape)}")
        return vector[self.kept]

    def expand(self, values: Vector) -> Vector:
        """The whole vector, zero where nothing is selected."""
        if values.shape != (self.size,):
            raise StructureError(f"expected [{self.size}], got {list(values.shape)}")
        whole = np.zeros(self.kept.size, np.float32)
        whole[self.kept] = values
        return whole
