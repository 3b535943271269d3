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
        self.asked = self.struck = 0
        """Of how many segments it has decided, and how many it took; not counted without loss."""

    def strikes(self) -> bool:
        """Whether the next segment is lost."""
        if not self._share:
            return False
        struck = self._draw() < self._share
        self.asked += 1
        self.struck += struck
        return struck
