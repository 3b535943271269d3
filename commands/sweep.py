"""The folder of a comparison: what it consists of, which of its runs are finished, its table.

    sweep.toml         the grid, written before the first run
    NAME/              a finished run; nothing else is ever there under a run's name
    .unfinished/       runs being played; thrown away when the comparison is taken up again
    .failed/           what runs that failed left behind; they are played again
    comparison.json    the table

A run's folder is moved into place whole, so that killing the comparison at any instant leaves
runs that are finished and runs that are not, and nothing between.
"""

import fcntl
import json
import os
import shutil
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import tomli_w

from commands.errors import BadInput
from commands.grid import Cell, Grid, make_grid, to_values
from commands.settings import resolve

if TYPE_CHECKING:
    from protocol.telemetry import Json

SCHEMA = 1
FILE = "sweep.toml"
UNFINISHED = ".unfinished"
FAILED = ".failed"


class Sweep:
    """Make one with `create` or `reopen`."""

    def __init__(self, path: Path, grid: Grid, target: float | None) -> None:
        self.path = path
        self.grid = grid
        self.target = target
        self.cells = tuple(grid.cells())

    @classmethod
    def create(cls, path: Path, grid: Grid, target: float | None) -> "Sweep":
        """A new folder, or the one of this very grid that was begun. Raises BadInput."""
        sweep = cls(path, grid, target)
        if (path / FILE).is_file():
            begun = cls.reopen(path)
            wanted, found = sweep._described(), begun._described()
            differing = sorted(k for k in wanted | found if wanted.get(k) != found.get(k))
            if differing:
                other = f"holds another comparison: its {differing[0]} differs"
                raise BadInput(f"--out: {path}: {other}")
            return begun
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise BadInput(f"--out: {path}: exists and is not empty; nothing is overwritten")
        try:
            path.mkdir(parents=True, exist_ok=True)
            _replace(path / FILE, tomli_w.dumps(sweep._described()))
        except OSError as error:
            raise BadInput(f"--out: {path}: cannot be written ({error.strerror})") from None
        return sweep

    @classmethod
    def reopen(cls, path: Path) -> "Sweep":
        """The comparison of this folder. Raises BadInput."""
        file = path / FILE
        try:
            held = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BadInput(f"{file}: not readable as TOML: {error}") from None
        if held.get("schema") != SCHEMA:
            raise BadInput(f"{file}: schema: must be {SCHEMA}, is {held.get('schema')!r}")
        base, axes = held.get("settings"), held.get("axes")
        seeds, target = held.get("seeds"), held.get("target")
        if not (isinstance(base, dict) and isinstance(axes, dict) and isinstance(seeds, int)):
            raise BadInput(f"{file}: must have settings, axes and seeds")
        settings = resolve(None, base, ())
        checked = {
            axis: [getattr(resolve(None, {axis: value}, ()), axis) for value in values]
            for axis, values in axes.items()
        }
        return cls(path, make_grid(settings, checked, seeds), target)

    def _described(self) -> dict[str, object]:
        described: dict[str, object] = {"schema": SCHEMA, "seeds": self.grid.seeds}
        if self.target is not None:
            described["target"] = self.target
        described["axes"] = {axis: list(values) for axis, values in self.grid.axes.items()}
        return described | {"settings": to_values(self.grid.base)}

    def finished(self) -> list[Cell]:
        return [cell for cell in self.cells if (self.path / cell.name).is_dir()]

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Where runs are played; empty at first. Raises BadInput if somebody else is at it."""
        with (self.path / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise BadInput(f"{self.path}: this comparison is being played already") from None
            unfinished = self.path / UNFINISHED
            shutil.rmtree(unfinished, ignore_errors=True)
            # Of its own name each time: what an orphan still writes is in nobody's way.
            scratch = unfinished / str(os.getpid())
            scratch.mkdir(parents=True)
            yield scratch
            shutil.rmtree(unfinished, ignore_errors=True)

    def keep(self, cell: Cell, scratch: Path) -> None:
        """A finished run, at once and whole."""
        (scratch / cell.name).replace(self.path / cell.name)

    def set_aside(self, cell: Cell, fault: str, scratch: Path) -> str:
        """What a failed run left, for whoever wants to know why; its fault, naming the place."""
        failed = self.path / FAILED
        failed.mkdir(exist_ok=True)
        for name in (cell.name, f"{cell.name}.log"):
            if (scratch / name).exists():
                shutil.rmtree(failed / name, ignore_errors=True)
                (scratch / name).replace(failed / name)
        return fault.replace(str(scratch), str(failed))

    def compare(self) -> "dict[str, Json]":
        """The table over all finished runs, also written as comparison.json. Raises BadInput."""
        from runs.comparison import read_measured, tabulate
        from runs.errors import ComparisonError, RunFolderError

        try:
            runs = [read_measured(self.path / cell.name) for cell in self.finished()]
            table = tabulate(runs, self.grid.compared, target=self.target)
        except (ComparisonError, RunFolderError) as error:
            raise BadInput(str(error)) from error
        missing = len(self.cells) - len(runs)
        notes = table["notes"]
        if missing and isinstance(notes, list):
            notes.append(f"{missing} of {len(self.cells)} runs are not finished")
        _replace(self.path / "comparison.json", json.dumps(table, indent=2) + "\n")
        return table


def is_sweep(path: Path) -> bool:
    return (path / FILE).is_file()


def listed(values: Mapping[str, Sequence[object]]) -> str:
    return ", ".join(f"{len(found)} × {axis}" for axis, found in values.items() if len(found) > 1)


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
