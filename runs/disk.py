"""The seam to the disk: lines appended, whole files replaced at once. `FullDisk` is its double.

Knows paths and bytes; nothing of what they mean.
"""

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import AnyStr, Generic, Protocol, TypeVar

Piece = TypeVar("Piece", str, bytes, contravariant=True)


class Appended(Protocol[Piece]):
    """A file that only grows; what was flushed survives this process."""

    def write(self, piece: Piece, /) -> object: ...
    def flush(self) -> object: ...
    def close(self) -> None: ...


Lines = Appended[str]
"""Each write is whole lines."""


class Disk:
    """The real one. Every method raises OSError when the disk refuses."""

    def lines(self, path: Path) -> Lines:
        """Open for appending, flushed after every line."""
        return path.open("a", encoding="utf-8", buffering=1, newline="\n")

    def log(self, path: Path) -> Appended[bytes]:
        """Open for appending."""
        return path.open("ab")

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

    def clear(self, room: int) -> None:
        """Somebody has made room."""
        self._room = room

    def lines(self, path: Path) -> Lines:
        return _Limited(self, super().lines(path))

    def log(self, path: Path) -> Appended[bytes]:
        return _Limited(self, super().log(path))

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


class _Limited(Generic[AnyStr]):
    def __init__(self, disk: FullDisk, inner: Appended[AnyStr]) -> None:
        self._disk = disk
        self._inner: Appended[AnyStr] = inner

    def write(self, data: AnyStr, /) -> object:
        fits = self._disk.take(len(data))
        self._inner.write(data[:fits])
        if fits < len(data):
            self._inner.flush()
            raise full()
        return fits

    def flush(self) -> object:
        return self._inner.flush()

    def close(self) -> None:
        self._inner.close()


def full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
