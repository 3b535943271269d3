"""The one way a profile is refused: a single line that names file, key and the rule broken."""

import difflib
from collections.abc import Iterable

WHOLE_FILE = "(file)"
"""The key of an error that concerns the file itself rather than an entry."""


class ProfileError(Exception):
    """A profile that cannot be used. Its text is one printable line."""

    def __init__(self, file: str, key: str, rule: str) -> None:
        self.file, self.key, self.rule = (_one_line(part) for part in (file, key, rule))
        super().__init__(self.file, self.key, self.rule)

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.rule}"


def near(word: str, known: Iterable[str]) -> str:
    """The end of a rule about an unknown word: close names if there are any, else all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(close) + "?"
    return "known: " + ", ".join(names)


def _one_line(text: str) -> str:
    # Keys and values quoted in a rule come from the user's file and may hold line breaks or
    # terminal control codes.
    return "".join(c if c.isprintable() else "?" for c in text)
