"""Reading TOML files with strict keys: every reader states what it takes, the rest is refused.

Knows files, keys and types; nothing of what a profile means.
"""

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from profiles.errors import WHOLE_FILE, ProfileError, near
from profiles.quantity import Dimension, Quantity, QuantityError, parse_quantity

MAX_FILE_BYTES = 1 << 20  # the largest shipped profile has 4 kB; a trace is never a profile


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a document: `key` is its dotted place within `file`, "" for the top."""

    file: str
    key: str
    entries: Mapping[str, object]

    def error(self, key: str, rule: str) -> ProfileError:
        """The error for one entry of this table, or for the table itself if `key` is ""."""
        place = ".".join(part for part in (self.key, key) if part)
        return ProfileError(self.file, place or WHOLE_FILE, rule)

    def allow(self, known: Collection[str]) -> None:
        """Refuse every key but these."""
        for key in self.entries:
            if key not in known:
                raise self.error(key, f"unknown key; {near(key, known)}")

    def text(self, key: str) -> str:
        raw = self._require(key)
        if not isinstance(raw, str) or not raw.strip() or "\n" in raw:
            raise self.error(key, "must be one line of text")
        return raw

    def count(self, key: str, largest: int) -> int:
        raw = self._require(key)
        if isinstance(raw, bool) or not isinstance(raw, int):
            raise self.error(key, "must be a whole number")
        if not 1 <= raw <= largest:
            raise self.error(key, f"must be from 1 to {largest}")
        return raw

    def quantity(self, key: str, dimension: Dimension) -> Quantity:
        raw = self._require(key)
        try:
            return parse_quantity(raw, dimension)
        except QuantityError as error:
            place = ".".join(part for part in (key, error.field) if part)
            raise self.error(place, str(error)) from None

    def table(self, key: str) -> "Table":
        raw = self._require(key)
        if not isinstance(raw, Mapping):
            raise self.error(key, "must be a table")
        return self._child(key, raw)

    def tables(self, key: str) -> tuple["Table", ...]:
        """An array of tables, at least one."""
        raw = self._require(key)
        if not isinstance(raw, list):
            raise self.error(key, "must be an array of tables")
        if not raw:
            raise self.error(key, "must not be empty")
        for index, item in enumerate(raw):
            if not isinstance(item, Mapping):
                raise self.error(f"{key}[{index}]", "must be a table")
        return tuple(self._child(f"{key}[{index}]", item) for index, item in enumerate(raw))

    def _child(self, key: str, entries: Mapping[str, object]) -> "Table":
        return Table(self.file, ".".join(part for part in (self.key, key) if part), entries)

    def _require(self, key: str) -> object:
        if key not in self.entries:
            raise self.error(key, "is missing")
        return self.entries[key]


def read_table(path: Path) -> Table:
    """The top table of a TOML file."""
    file = str(path)
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise ProfileError(file, WHOLE_FILE, "does not exist") from None
    except OSError as error:
        raise ProfileError(file, WHOLE_FILE, f"cannot be read: {error.strerror}") from None
    if len(raw) > MAX_FILE_BYTES:
        raise ProfileError(file, WHOLE_FILE, f"is larger than {MAX_FILE_BYTES} bytes")
    try:
        return Table(file, "", tomllib.loads(raw.decode("utf-8")))
    except UnicodeDecodeError:
        raise ProfileError(file, WHOLE_FILE, "is not UTF-8 text") from None
    except (ValueError, RecursionError) as error:  # beside its own error, tomllib lets int()'s out
        raise ProfileError(file, WHOLE_FILE, f"is not valid TOML: {error}") from None
