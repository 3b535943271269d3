"""The global model as the coordinator sees it: words in, a better vector out.

What the words mean is known only to whoever implements this: learning enters by injection.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from protocol.secagg.ring import Words


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`metric` as the task names it; `per_client` on each client's own held-out data."""

    metric: float | None
    loss: float | None
    per_client: tuple[float, ...]


class UnusableSum(Exception):
    """The sum cannot be what honest clients sent: somebody lied, and who cannot be told."""


class Portion(Protocol):
    """The coordinates of the model that one client downloads and uploads: all of them, or those of
    the sub-model that it was told to train."""

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
        """The client's vector at the whole model's length, zero where it has nothing."""


class GlobalModel(Protocol):
    @property
    def vector(self) -> NDArray[np.float32]:
        """The current parameters, flat."""

    @property
    def words(self) -> int:
        """Length of a client's vector in ring elements."""

    def portion(self, instruction: bytes) -> Portion:
        """Of a client that was told this; empty: the whole."""

    def apply(self, total: Words, clients: int) -> float:
        """Replace the model by the mean that `total`, a modular sum over so many, stands for.

        Returns the fraction of coordinates that clients clipped. Called off the event loop.
        Raises UnusableSum and then leaves the model as it is."""

    async def evaluate(self) -> Evaluation: ...
