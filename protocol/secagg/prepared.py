"""A client's masks, summed up before there is anything to mask.

Masks follow from keys alone, so they can be expanded while the model is downloaded and trained; to
mask is then one addition. It costs the memory of one vector, however many peers. What is kept is
as secret as the update: it is added to one vector, once, and dropped. It knows no threads.
"""

from typing import Protocol

import numpy as np

from protocol.errors import LocalError
from protocol.secagg.ring import Words, word_type
from protocol.work import Tally


class Masking(Protocol):
    """A client's machine, signed or not."""

    def mask_cost(self, words: Words) -> Tally: ...

    def mask(self, words: Words, offset: int) -> None: ...


class PreparedMask:
    """The sum of all masks over a whole vector of `length` words of a ring. First `expand`, then
    `add_to`, each once."""

    def __init__(self, machine: Masking, length: int, ring_bits: int) -> None:
        self._machine = machine
        self._sum: Words | None = np.zeros(length, word_type(ring_bits))
        self._expanded = False

    def cost(self) -> Tally:
        """What expanding takes: as much as masking the vector itself would."""
        return self._machine.mask_cost(self._kept())

    def expand(self) -> None:
        """The machine masks zeros: it goes over every coordinate, and makes no second vector."""
        self._machine.mask(self._kept(), 0)
        self._expanded = True

    def add_to(self, words: Words) -> None:
        """Mask the vector in place."""
        masks = self._kept()
        if not self._expanded:
            raise LocalError("the masks have not been expanded")
        if words.shape != masks.shape or words.dtype != masks.dtype:
            raise LocalError(f"the masks are for {masks.size} words of {masks.dtype}")
        self._sum = None
        np.add(words, masks, out=words)

    def _kept(self) -> Words:
        if self._sum is None:
            raise LocalError("the masks have been used: two vectors under them would tell both")
        return self._sum
