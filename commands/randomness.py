"""Where a run's keys are drawn from: the system, or under the virtual clock the seed.

Seeded keys make two runs alike to the last byte and protect nothing: whoever knows the seed knows
every mask. They exist under the virtual clock only, where no real network carries anything, and
every output of such a run says so.
"""

import hashlib
import os
from collections.abc import Callable

from commands.settings import RunSettings
from protocol.secagg.keys import Randomness

Source = Callable[[str], Randomness]
"""A stream of random bytes for each purpose."""

_LABEL = "straggler testbed/insecure seeded keys/1"
_BLOCK_BYTES = 64


def unpredictable(purpose: str) -> Randomness:
    return os.urandom


def seeded(seed: int) -> Source:
    """The same streams for the same seed; those of different purposes have nothing in common,
    so that it does not matter who draws first."""

    def source(purpose: str) -> Randomness:
        key = hashlib.sha256(f"{_LABEL}/{seed}/{purpose}".encode()).digest()
        drawn = 0

        def draw(size: int) -> bytes:
            nonlocal drawn
            pieces = []
            for _ in range(-(-size // _BLOCK_BYTES)):
                pieces.append(hashlib.blake2b(drawn.to_bytes(8), key=key).digest())
                drawn += 1
            return b"".join(pieces)[:size]

        return draw

    return source


def source_of(settings: RunSettings, resumed: int = 0) -> Source:
    """`resumed`: how often the run was taken up again; nothing is drawn twice."""
    if settings.clock != "virtual":
        return unpredictable
    source = seeded(settings.seed)
    return source if not resumed else lambda purpose: source(f"resumed {resumed}: {purpose}")
