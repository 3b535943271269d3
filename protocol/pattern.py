"""The name of a sparsity pattern: which coordinates of the model survive, as both sides call it.

The shared mask of sparse training is called *pattern* here and in messages, because masks are what
hides updates. Knows no model and not which coordinates they are.
"""

from dataclasses import dataclass

HEADER = "Pattern"
"""Of HTTP requests and answers: under which pattern values travel."""
HELD_HEADER = "Pattern-Held"
"""Of a download's request: the pattern that the client has already."""
BYTES_HEADER = "Pattern-Bytes"
"""Of a download's answer: how many bytes behind the values describe the pattern."""


@dataclass(frozen=True, slots=True)
class PatternName:
    """Version 0 is no pattern: all coordinates travel."""

    version: int = 0
    digest: bytes = b""
    """SHA-256 of the version and of every coordinate's bit."""
    surviving: int = 0
    """How many coordinates survive; 0 without a pattern."""

    def __bool__(self) -> bool:
        return self.version > 0

    @property
    def text(self) -> str:
        """For headers; empty without a pattern."""
        return f"{self.version}-{self.digest.hex()}" if self else ""


NO_PATTERN = PatternName()
