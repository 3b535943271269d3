"""Other people's files, read with care: bounded, gzip or not, every refusal by file, place, rule.

Knows nothing of what the formats mean.
"""

import gzip
import io
import json
import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from profiles.errors import WHOLE_FILE, ProfileError
from profiles.trace import MAX_TIME_S

MAX_BYTES = 64 << 20
"""Of a file, unpacked: twice the largest that is published for one device or fleet."""
MAX_BYTES_PER_S = 1e12 / 8
"""A terabit a second: more is a slip of the unit."""
_GZIP = b"\x1f\x8b"
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
MAX_DIGITS = 40


@dataclass(frozen=True, slots=True)
class Source:
    """A whole file in memory."""

    file: str
    content: bytes

    def error(self, place: str, rule: str) -> ProfileError:
        return ProfileError(self.file, place or WHOLE_FILE, rule)

    def text(self) -> str:
        try:
            return self.content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = self.content.count(b"\n", 0, error.start) + 1
            raise self.error(f"line {line}", "is not UTF-8 text") from None

    def lines(self) -> list[tuple[int, str]]:
        """Those that are not blank, with their numbers; there is at least one."""
        found = [(n, s) for n, s in enumerate(map(str.strip, self.text().split("\n")), 1) if s]
        if not found:
            raise self.error("", "is empty")
        return found

    def json(self) -> object:
        def refused(constant: str) -> NoReturn:
            raise ValueError(f"{constant} is no number")

        if not self.content.strip():
            raise self.error("", "is empty")
        try:
            return json.loads(self.text(), parse_constant=refused)
        except json.JSONDecodeError as error:
            raise self.error(f"line {error.lineno}", f"is not JSON: {error.msg}") from None
        except (ValueError, RecursionError) as error:
            raise self.error("", f"is not JSON: {error}") from None

    def decimal(self, place: str, text: str) -> float:
        """A number as people write them: no nan, no inf, no underscores."""
        if len(text) > MAX_DIGITS or not _NUMBER.fullmatch(text):
            raise self.error(place, f"{text[:MAX_DIGITS]!r} is not a number")
        return self.number(place, float(text))

    def number(self, place: str, raw: object) -> float:
        """A number out of JSON or the like; not negative, and finite."""
        if isinstance(raw, bool) or not isinstance(raw, int | float):
            raise self.error(place, "must be a number")
        if not 0 <= raw <= 1e300 or not math.isfinite(raw):
            raise self.error(place, f"must be finite and not negative, not {str(raw)[:40]}")
        return float(raw)

    def rate(self, place: str, bytes_per_s: float) -> float:
        if not bytes_per_s <= MAX_BYTES_PER_S:
            rule = f"{bytes_per_s * 8 / 1e6:g} Mbit/s is more than any link has"
            raise self.error(place, rule)
        return bytes_per_s

    def time(self, place: str, seconds: float) -> float:
        if not seconds <= MAX_TIME_S:
            raise self.error(place, f"{seconds:g} s is more than thirty years")
        return seconds

    def table(self, place: str, raw: object) -> Mapping[str, object]:
        """With text keys; whole numbers are taken as text too, as FedScale's client ids are."""
        if not isinstance(raw, dict) or not raw:
            raise self.error(place, "must be a table with at least one entry")
        return {str(key): value for key, value in raw.items() if isinstance(key, str | int)}

    def entry(self, place: str, table: Mapping[str, object], key: str) -> object:
        if key not in table:
            raise self.error(place, f"{key} is missing")
        return table[key]

    def chosen(self, table: Mapping[str, object], device: str | None) -> Mapping[str, object]:
        """One device of a table of devices, or all."""
        if device is None:
            return table
        if device not in table:
            raise self.error("", f"has no device {device!r}; it has {len(table)} others")
        return {device: table[device]}


def read_source(path: Path) -> Source:
    """Gzip is unpacked on the way, whatever the file's name, and no further than the bound."""
    file = str(path)
    try:
        with path.open("rb") as raw:
            packed = raw.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ProfileError(file, WHOLE_FILE, "does not exist") from None
    except OSError as error:
        raise ProfileError(file, WHOLE_FILE, f"cannot be read: {error.strerror}") from None
    content = _unpacked(file, packed) if packed.startswith(_GZIP) else packed
    if len(content) > MAX_BYTES:
        rule = f"holds more than {MAX_BYTES >> 20} MiB"
        raise ProfileError(file, WHOLE_FILE, rule)
    return Source(file, content)


def _unpacked(file: str, packed: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as unpacking:
            return unpacking.read(MAX_BYTES + 1)
    except (EOFError, zlib.error, OSError) as error:
        raise ProfileError(file, WHOLE_FILE, f"is not whole gzip: {error}") from None
