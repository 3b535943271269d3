"""The shared sparsity pattern that a client holds, from one round to the next.

Asks for no more than it lacks, and takes no pattern but the one that the plan names.
"""

from functools import lru_cache

from learning.pattern import Pattern
from learning.pattern_codec import decode
from protocol.errors import ProtocolError
from protocol.pattern import PatternName


class HeldPattern:
    def __init__(self) -> None:
        self._held: Pattern | None = None

    @property
    def text(self) -> str:
        """Its name, for the coordinator; empty if there is none."""
        return "" if self._held is None else self._held.name.text

    def take(self, name: PatternName, tail: bytes, coordinates: int) -> Pattern:
        """The pattern of that name, from what was sent of it. Raises ProtocolError."""
        found = _decoded(tail, coordinates, self._held) if tail else self._held
        if found is None or found.name != name or found.kept.size != coordinates:
            raise ProtocolError("the pattern is not the one that the plan names")
        self._held = found
        return found


@lru_cache(maxsize=4)
def _decoded(tail: bytes, coordinates: int, held: Pattern | None) -> Pattern:
    """Where one process plays many clients, each of them is sent the same."""
    return decode(tail, coordinates, held)
