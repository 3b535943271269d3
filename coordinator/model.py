"""The global model as the coordinator sees it: words in, a better vector out.

What the words mean is known only to whoever implements this: learning enters by injection.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from protocol.pattern import PatternName
from protocol.secagg.ring import Words
from protocol.telemetry import Json


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`metric` as the task names it; `per_client` on each client's own held-out data."""

    metric: float | None
    loss: float | None
    per_client: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Applied:
    """What a round's sum came to."""

    clipped_fraction: float
    """Of the coordinates that clients sent."""
    notes: Mapping[str, Json] = field(default_factory=dict)
    """For the record of the round."""


class UnusableSum(Exception):
    """The sum cannot be what honest clients sent: somebody lied, and who cannot be told."""


class UnusableVector(Exception):
    """One client's vector, where it can be read, is not what any client sends."""


class Portion(Protocol):
    """The coordinates of the model that one client downloads and uploads: all that survive, or
    those of the sub-model that it was told to train."""

    @property
    def vector(self) -> NDArray[np.float32]:
        """Their current values."""

    @property
    def size(self) -> int:
        """How many they are."""

    @property
    def words(self) -> int:
        """Length of the client's vector in ring elements."""

    def spread(self, words: Words) -> Words:
        """The client's vector at the whole sum's length, zero where it has nothing."""

    def tail(self, held: str) -> bytes:
        """What follows the values of a download: the round's sparsity pattern, unless the client
        holds it; told from the pattern of the name `held` where that is shorter."""


class GlobalModel(Protocol):
    @property
    def vector(self) -> NDArray[np.float32]:
        """The current parameters, flat."""

    @property
    def pattern(self) -> PatternName:
        """Which of them survive and travel, until the next sum is applied."""

    @property
    def words(self) -> int:
        """Length of a client's vector in ring elements, under that pattern."""

    def portion(self, instruction: bytes) -> Portion:
        """Of a client that was told this; empty: the whole."""

    def apply(self, total: Words, clients: int, round_: int) -> Applied:
        """Replace the model by the mean that `total`, a modular sum over so many, stands for, and
        prune it if this round is to. Called off the event loop.

        Raises UnusableSum and then leaves the model as it is."""

    async def evaluate(self) -> Evaluation: ...
