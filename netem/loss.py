"""Random loss: each segment is lost independently with one probability."""

import random
from typing import Protocol


class Loss(Protocol):
    """Decides for each segment that has been on the wire; asked in their order."""

    def strikes(self) -> bool:
        """Whether the next segment is lost."""
        ...


class RandomLoss:
    """Draws from a stream of its own, so that a seed decides everything."""

    def __init__(self, share: float, seed: tuple[int, ...]) -> None:
        self._share = share
        self._draw = random.Random(f"loss {seed}").random

    def strikes(self) -> bool:
        """Whether the next segment is lost."""
        return self._share > 0 and self._draw() < self._share
