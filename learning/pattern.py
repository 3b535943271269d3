"""A sparsity pattern: which coordinates of a model survive, with a version and a digest.

Whoever sends values under a pattern names it, so that nobody adds up what belongs to different
coordinates. Must not know how coordinates are chosen or how patterns travel.
"""

import hashlib

import numpy as np

from learning.selection import Kept, Selection
from protocol.pattern import PatternName

_LABEL = b"straggler-testbed/v1/pattern\0"


class Pattern(Selection):
    """Versions count from 1; before the first pattern everything survives. Its bits are not changed
    in place afterwards."""

    def __init__(self, kept: Kept, version: int) -> None:
        super().__init__(kept)
        self.version = version
        self.name = PatternName(version, _digest(kept, version), self.size)

    def within(self, other: "Pattern") -> bool:
        """Whether whatever survives here survives there."""
        return self.kept.size == other.kept.size and not np.any(self.kept & ~other.kept)


def _digest(kept: Kept, version: int) -> bytes:
    head = _LABEL + version.to_bytes(4) + kept.size.to_bytes(8)
    return hashlib.sha256(head + np.packbits(kept).tobytes()).digest()
