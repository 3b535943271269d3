"""The shared sparsity pattern as the coordinator holds it, and what it sends of it.

Clients that took part in the last round hold the one before and are told the difference; whoever
else is told all of it.
"""

from learning.pattern import Pattern
from learning.pattern_codec import encode
from learning.selection import Kept
from protocol.pattern import NO_PATTERN, PatternName


class Patterns:
    def __init__(self) -> None:
        self.current: Pattern | None = None
        """None as long as everything survives."""
        self._before: Pattern | None = None
        self._told: dict[str, bytes] = {}
        """By the name of the pattern that it is told from; empty: from none."""

    @property
    def name(self) -> PatternName:
        return NO_PATTERN if self.current is None else self.current.name

    def replace(self, kept: Kept) -> None:
        """From the next round on; the same survivors keep their version."""
        known = self.current
        if kept.all() if known is None else (kept == known.kept).all():
            return
        version = 1 if known is None else known.version + 1
        self.restore(Pattern(kept, version), known)

    def restore(self, current: Pattern, before: Pattern | None = None) -> None:
        self.current, self._before = current, before
        self._told = {}

    def tail(self, held: str) -> bytes:
        """For a download by a client that holds the pattern of that name."""
        if self.current is None or held == self.current.name.text:
            return b""
        before = self._before
        if before is not None and held != before.name.text:
            before = None
        key = "" if before is None else held
        if key not in self._told:
            self._told[key] = encode(self.current, before)
        return self._told[key]
