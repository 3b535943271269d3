"""Writes a run folder's files and remembers what the disk refused, instead of raising it.

Knows names and text; nothing of what they mean.
"""

from collections.abc import Iterable
from pathlib import Path

from runs.disk import Disk, Lines


class Writer:
    """After a refused append a file gets no more lines: the next would be glued to a torn one."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self.path = path
        self.disk = disk
        self._files: dict[str, Lines] = {}
        self._torn: set[str] = set()
        self.errors: list[str] = []

    def append(self, name: str, text: str) -> None:
        """Whole lines."""
        if name in self._torn:
            return
        try:
            if name not in self._files:
                self._files[name] = self.disk.lines(self.path / name)
            self._files[name].write(text)
        except OSError as error:
            self._torn.add(name)
            self._remember(name, error)

    def cut(self, name: str, size: int) -> None:
        """Keep the first `size` bytes of a file."""
        if name in self._torn:
            return
        try:
            if name in self._files:
                self._files.pop(name).close()
            self.disk.cut(self.path / name, size)
        except OSError as error:
            self._torn.add(name)
            self._remember(name, error)

    def replace(self, name: str, pieces: Iterable[str | bytes], *, durable: bool = False) -> None:
        encoded = (piece.encode() if isinstance(piece, str) else piece for piece in pieces)
        try:
            self.disk.replace(self.path / name, encoded, durable=durable)
        except OSError as error:
            self._remember(name, error)

    def close(self) -> None:
        for name, file in self._files.items():
            try:
                file.close()
            except OSError as error:
                self._remember(name, error)
        self._files.clear()

    def _remember(self, name: str, error: OSError) -> None:
        self.errors.append(refusal(self.path / name, error))


def refusal(path: Path, error: OSError) -> str:
    return f"{path}: cannot be written ({error.strerror or error})"
