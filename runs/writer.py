"""Writes a run folder's files and remembers what the disk refused, instead of raising it.

Knows names and text; nothing of what they mean.
"""

from collections.abc import Iterable
from pathlib import Path

from runs.disk import Disk, Lines

MOST_HELD = 1 << 16
"""Characters."""


class Writer:
    """After a refused append a file gets no more lines: the next would be glued to a torn one."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self.path = path
        self._disk = disk
        self._files: dict[str, Lines] = {}
        self._torn: set[str] = set()
        self._held: dict[str, list[str]] = {}
        self._held_size = 0
        self.errors: list[str] = []

    def hold(self, name: str, text: str) -> None:
        """Whole lines, to be written with the next that are appended, or when there are many: a
        call of the system for each would take longer than all the rest of recording."""
        self._held.setdefault(name, []).append(text)
        self._held_size += len(text)
        if self._held_size >= MOST_HELD:
            self.release()

    def release(self) -> None:
        """Write what is held."""
        held, self._held, self._held_size = self._held, {}, 0
        for name, texts in held.items():
            self.append(name, "".join(texts))

    def append(self, name: str, text: str) -> None:
        """Whole lines, after those held."""
        if self._held:
            self.release()
        if name in self._torn:
            return
        try:
            if name not in self._files:
                self._files[name] = self._disk.lines(self.path / name)
            self._files[name].write(text)
        except OSError as error:
            self._torn.add(name)
            self._remember(name, error)

    def replace(self, name: str, pieces: Iterable[str | bytes], *, durable: bool = False) -> None:
        encoded = (piece.encode() if isinstance(piece, str) else piece for piece in pieces)
        try:
            self._disk.replace(self.path / name, encoded, durable=durable)
        except OSError as error:
            self._remember(name, error)

    def close(self) -> None:
        self.release()
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
