"""Magnitude pruning as arithmetic: how much by when, and which coordinates.

The schedule and the global threshold are FedSparsify's (arXiv 2208.11669), by its public code; ties
are broken by index, so that the number of survivors is exact and everybody gets the same. Must not
know rounds' participants, messages or torch.
"""

from dataclasses import dataclass
from math import floor, isfinite

import numpy as np
from numpy.typing import NDArray

from learning.selection import Kept
from learning.structure import Structure, Vector

MOST = 0.99
"""Sparsest that is asked for."""


class SparsityError(ValueError):
    """A schedule that is none: one line with key and rule."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """s_t = S_T − S_T · (1 − (F·⌊t/F⌋ − t0) / (T − t0))ⁿ from round t0 to round T; 0 before it, S_T
    after it.

    With a frequency F that does not divide T the last step before T is where it ends, as in the
    source.
    """

    final: float
    end: int
    start: int = 1
    every: int = 1
    exponent: float = 3.0

    def __post_init__(self) -> None:
        if not 0 <= self.final <= MOST:
            raise SparsityError(f"sparsity: must lie in [0, {MOST}], got {self.final!r}")
        if not 0 <= self.start < self.end:
            raise SparsityError(
                f"sparsity_start: must lie in [0, {self.end}), before the round in which the final"
                f" sparsity is reached, got {self.start}"
            )
        if self.every < 1 or not (isfinite(self.exponent) and self.exponent > 0):
            raise SparsityError("sparsity_every: at least 1; sparsity_exponent: above 0")

    def at(self, round_: int) -> float:
        """The sparsity after this round."""
        reached = self.every * (round_ // self.every)
        left = 1 - (reached - self.start) / (self.end - self.start)
        share: float = min(1.0, max(0.0, left)) ** self.exponent
        return self.final * (1 - share)


def pruned_count(coordinates: int, sparsity: float) -> int:
    # 1e-9 guards the cases where s·n is whole but its float falls just short.
    return floor(sparsity * coordinates + 1e-9)


def smallest(values: NDArray[np.floating], count: int) -> Kept:
    """Which `count` of the values are the smallest; of equal ones the first."""
    if count <= 0:
        return np.zeros(values.shape, np.bool_)
    bound = np.partition(values, count - 1)[count - 1]
    chosen: Kept = values < bound
    ties = np.flatnonzero(values == bound)
    chosen[ties[: count - np.count_nonzero(chosen)]] = True
    return chosen


@dataclass(frozen=True, slots=True)
class Pruner:
    """One threshold for the whole model, or `per_layer` the same share of each tensor. `biases`:
    whether biases and norm parameters (tensors of one axis) are pruned too, as in the source."""

    structure: Structure
    per_layer: bool = False
    biases: bool = True

    def by_magnitude(self, model: Vector, kept: Kept, sparsity: float) -> Kept:
        """The survivors when the share `sparsity` of the prunable weights is pruned, those that
        were pruned before among them: those go first, so that no weight comes back."""
        return self.by_score(np.abs(model), kept, sparsity)

    def by_score(self, scores: NDArray[np.floating], kept: Kept, sparsity: float) -> Kept:
        """Likewise, the lowest scores (at least 0) first."""
        ranks = np.where(kept, scores, -1.0)
        survivors = np.ones(self.structure.size, np.bool_)
        for part in self._parts():
            count = pruned_count(_length(part, ranks), sparsity)
            survivors[part] = ~smallest(ranks[part], count)
        return survivors & kept

    def _parts(self) -> "list[slice | NDArray[np.intp]]":
        """What each threshold is over, as indices into the vector."""
        spans, start = [], 0
        for parameter in self.structure.parameters:
            if self.biases or len(parameter.shape) > 1:
                spans.append(slice(start, start + parameter.size))
            start += parameter.size
        if self.per_layer:
            return list(spans)
        return [np.concatenate([np.arange(span.start, span.stop) for span in spans])]


def _length(part: "slice | NDArray[np.intp]", values: NDArray[np.floating]) -> int:
    return int(values[part].size)
