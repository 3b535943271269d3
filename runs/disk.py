"""The seam to the disk: lines appended, whole files replaced at once. `FullDisk` is its double.

Knows paths and bytes; nothing of what they mean.
"""

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol


class Lines(Protocol):
    """An append-only text file; each write is whole lines."""

    def write(self, text: str, /) -> object: ...
    def close(self) -> None: ...


class Disk:
    """The real one. Every method raises OSError when the disk refuses."""

    def lines(self, path: Path) -> Lines:
        """Open for appending, flushed after every line."""
        return path.open("a", encoding="utf-8", buffering=1, newline="\n")

    def replace(self, path: Path, pieces: Iterable[bytes], *, durable: bool = False) -> None:
        """Put the pieces at `path`: a reader sees the old file or the new one, never a part.

        `durable` also survives a power cut, at the price of waiting for the disk; without it the
        file survives the death of this process, which is enough while a run goes on.
        """
        partial = path.with_name(f".{path.name}.partial")
        try:
            with partial.open("wb") as file:
                file.writelines(pieces)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def cut(self, path: Path, size: int) -> None:
        """Keep the first `size` bytes."""
        os.truncate(path, size)

    def cut_torn_line(self, path: Path) -> None:
        """Drop what a killed process left of its last line."""
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.truncate(path, whole)


class FullDisk(Disk):
    """The double: takes `room` bytes, then refuses as a full disk does, within a write."""

    def __init__(self, room: int) -> None:
        self._room = room

    def lines(self, path: Path) -> Lines:
        return _LimitedLines(self, super().lines(path))

    def replace(self, path: Path, pieces: Iterable[bytes], *, durable: bool = False) -> None:
        super().replace(path, map(self._taken, pieces), durable=durable)

    def take(self, size: int) -> int:
        """How much of `size` still fits; the disk is full if that is less."""
        fits = min(size, self._room)
        self._room -= fits
        return fits

    def _taken(self, piece: bytes) -> bytes:
        if self.take(len(piece)) < len(piece):
            raise full()
        return piece


class _LimitedLines:
    def __init__(self, disk: FullDisk, inner: Lines) -> None:
        self._disk = disk
        self._inner = inner

    def write(self, text: str, /) -> object:
        fits = self._disk.take(len(text))
        self._inner.write(text[:fits])
        if fits < len(text):
            raise full()
        return fits

    def close(self) -> None:
        self._inner.close()


def full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
