"""The participation counts beside a masked update, and the coordinate-wise mean they make exact.

A weight is trained only where all its neurons are kept, so under pruning every coordinate has its
own divisor: the summed weight of the clients that trained it. Clients put integers into the masked
vector from which that divisor follows, and nobody sees who pruned what. The ways differ in length:

- `total`: one integer, the client's weight. Every coordinate has the same divisor.
- `neuron`: one more for each hidden neuron. A coordinate's divisor is the smallest of its neurons'
  counts; exact only if the clients' keep sets are nested (of any two, one holds the other, in all
  layers alike), as they are when all clients follow one drop order and one ratio for all layers.
- `pair`: besides those, one for each pair of hidden neurons that some weight joins. Always exact.

Must not know secure aggregation, rounds or how neurons are chosen.
"""

from functools import lru_cache
from math import prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from learning.selection import Kept
from learning.structure import Axis, Keep, Parameter, Structure, StructureError, Vector

Counts = Literal["total", "neuron", "pair"]
Divisor = Literal["participation", "all"]
_CHUNK = 32_768
"""Coordinates at a time: what is made on the way stays in the core's own cache."""


@lru_cache(maxsize=8)
def layout_of(structure: Structure, counts: Counts) -> "VectorLayout":
    """One for all clients of a process: it holds some integers for each coordinate."""
    return VectorLayout(structure, counts)


class VectorLayout:
    """Where each count lies, and which counts each coordinate's divisor is the minimum of."""

    def __init__(self, structure: Structure, counts: Counts) -> None:
        if counts not in ("total", "neuron", "pair"):
            raise StructureError(f"counts must be total, neuron or pair, got {counts!r}")
        self.structure = structure
        self.counts = counts
        self._tables: dict[tuple[str, ...], int] = {}
        self.length = 1  # number 0 is the client's whole weight
        if counts != "total":
            for group in structure.sizes:
                self._table((group,))
        rows = [self._parameter_rows(parameter) for parameter in structure.parameters]
        depth = max(len(row) for row in rows)
        self._rows: NDArray[np.int32] = np.zeros((depth, structure.size), np.int32)
        """Each coordinate's counts; padded with number 0, which no other count exceeds."""
        start = 0
        for parameter, row in zip(structure.parameters, rows, strict=True):
            for level, numbers in enumerate(row):
                self._rows[level, start : start + parameter.size] = numbers.ravel()
            start += parameter.size

    def weights(self, keep: Keep, examples: int) -> NDArray[np.int64]:
        """One client's counts: its weight wherever it trains, 0 elsewhere."""
        self.structure.widths(keep)
        if examples < 0:
            raise StructureError(f"a client's weight cannot be negative: {examples}")
        numbers = np.empty(self.length, np.int64)
        numbers[0] = examples
        for groups, start in self._tables.items():
            block = np.full((1,), examples, np.int64)
            for group in groups:
                kept = np.ones(self.structure.sizes[group], np.int64)
                if group in keep:
                    kept[:] = 0
                    kept[keep[group]] = 1
                block = np.multiply.outer(block, kept).ravel()
            numbers[start : start + len(block)] = block
        return numbers

    def divisors(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Every coordinate's summed weight, from the clients' summed counts."""
        self._check_counts(counts)
        return np.asarray(counts[self._rows].min(axis=0))

    def _check_counts(self, counts: NDArray[np.int64]) -> None:
        if counts.shape != (self.length,) or np.any(counts < 0) or np.any(counts > counts[0]):
            raise StructureError(f"counts are not {self.length} sums between 0 and the total")

    def mean(
        self,
        summed: NDArray[np.float64],
        counts: NDArray[np.int64],
        divisor: Divisor = "participation",
        kept: Kept | None = None,
    ) -> Vector:
        """The update of the model, from summed weighted updates and summed counts; `kept`: of these
        coordinates only, which are all that `summed` has.

        `all` divides by every client's weight, trained or not: the naive mean, which shrinks
        what only some clients trained. Coordinates that nobody trained stay as they are (0).
        """
        size = self.structure.size if kept is None else int(np.count_nonzero(kept))
        if summed.shape != (size,):
            raise StructureError(f"expected [{size}], got {list(summed.shape)}")
        self._check_counts(counts)
        delta = np.empty(summed.shape, np.float32)
        rows = self._rows if kept is None else self._rows[:, kept]
        for start in range(0, delta.size, _CHUNK):
            chunk = slice(start, start + _CHUNK)
            if self.length == 1 and counts[0]:  # one divisor for all
                delta[chunk] = summed[chunk] / counts[0]
                continue
            trained = counts[rows[:, chunk]].min(axis=0)
            below = trained if divisor == "participation" else counts[0]
            quotient = np.zeros(trained.shape, np.float64)
            np.divide(summed[chunk], below, out=quotient, where=trained > 0)
            delta[chunk] = quotient
        return delta

    def _table(self, groups: tuple[str, ...]) -> int:
        """Where the counts of these groups' combinations start; placed at first use."""
        if groups not in self._tables:
            self._tables[groups] = self.length
            self.length += prod(self.structure.sizes[group] for group in groups)
        return self._tables[groups]

    def _parameter_rows(self, parameter: Parameter) -> list[NDArray[np.intp]]:
        """For each count that a divisor is the minimum of: its number at every coordinate."""
        axes = self.structure.prunable_axes(parameter)
        if self.counts == "total" or not axes:
            return [np.zeros(parameter.shape, np.intp)]
        if self.counts == "neuron":
            return [
                self._table((axis.group,)) + _spread(parameter, number, axis)
                for number, axis in axes
            ]
        # Sorted by the model's order of groups, so that tensors joining the same two share counts.
        order = list(self.structure.sizes)
        axes = tuple(sorted(axes, key=lambda item: order.index(item[1].group)))
        joint = np.zeros(parameter.shape, np.intp)
        for number, axis in axes:
            joint = joint * self.structure.sizes[axis.group] + _spread(parameter, number, axis)
        return [self._table(tuple(axis.group for _, axis in axes)) + joint]


def _spread(parameter: Parameter, number: int, axis: Axis) -> NDArray[np.intp]:
    """The neuron at every coordinate of the tensor, along one axis."""
    across = [1] * len(parameter.shape)
    across[number] = len(axis.neurons)
    return np.broadcast_to(axis.neurons.reshape(across), parameter.shape)
