"""The shared sparsity pattern as the coordinator holds it, and what it sends of it.

Clients that took part in the last round hold the one before and are told the difference; whoever
else is told all of it.
"""

from threading import Lock

from learning.pattern import Pattern
from learning.pattern_codec import encode
from learning.selection import Kept
from protocol.pattern import NO_PATTERN, PatternName


class Telling:
    """One pattern, told to whoever asks, on any thread; each telling is worked out once. The next
    pattern has another: a download that is late is still told of its own round's."""

    def __init__(self, current: Pattern | None, before: Pattern | None = None) -> None:
        self.current = current
        """None as long as everything survives."""
        self._before = before
        self._told: dict[str, bytes] = {}
        """By the name of the pattern that it is told from; empty: from none."""
        self._lock = Lock()

    def tail(self, held: str) -> bytes:
        """For a download by a client that holds the pattern of that name."""
        if self.current is None or held == self.current.name.text:
            return b""
        before = self._before
        if before is not None and held != before.name.text:
            before = None
        key = "" if before is None else held
        with self._lock:
            if key not in self._told:
                self._told[key] = encode(self.current, before)
            return self._told[key]


class Patterns:
    def __init__(self) -> None:
        self.telling = Telling(None)

    @property
    def current(self) -> Pattern | None:
        return self.telling.current

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
        self.telling = Telling(current, before)
