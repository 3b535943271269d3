"""Where the runs of a comparison are played: in processes of this machine, or all over a cluster.

An engine is told of runs and hands their folders over as they end, in whatever order; what a run
gives does not depend on where it was played.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Protocol

import tomli_w

from commands.grid import Cell, to_values

ROOT = Path(__file__).parent.parent
CELL = (sys.executable, "-m", "commands.cell")
"""The program that plays a run: its settings' file and the folder to make are the last words."""


@dataclass(frozen=True, slots=True)
class Played:
    """A run that has ended: its whole folder within `scratch`, or why there is none."""

    cell: Cell
    fault: str | None


class Engine(Protocol):
    def play(self, cells: Sequence[Cell], scratch: Path) -> Iterator[Played]:
        """Each run's folder is made as `scratch / cell.name`."""
        ...


class Local:
    """So many at a time, each in a process of its own: a run that fails takes no other along."""

    def __init__(self, jobs: int, program: Sequence[str] = CELL) -> None:
        self._jobs = jobs
        self._program = program
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = Lock()
        self._stopped = False

    def play(self, cells: Sequence[Cell], scratch: Path) -> Iterator[Played]:
        with ThreadPoolExecutor(self._jobs) as threads:
            waiting: set[Future[Played]] = {
                threads.submit(self._one, cell, scratch) for cell in cells
            }
            try:
                while waiting:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield future.result()
            finally:
                threads.shutdown(wait=False, cancel_futures=True)
                self._stop()

    def _one(self, cell: Cell, scratch: Path) -> Played:
        with self._lock:
            if self._stopped:
                return Played(cell, "not begun")
            process = start(cell, scratch, self._program)
            self._running.add(process)
        return Played(cell, ended(process, cell, scratch))

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            for process in self._running:
                if process.poll() is None:
                    with suppress(ProcessLookupError):
                        process.terminate()


def start(cell: Cell, scratch: Path, program: Sequence[str] = CELL) -> "subprocess.Popen[bytes]":
    """The run's process. Its standard input stays open as long as we live."""
    settings = scratch / f"{cell.name}.toml"
    settings.write_text(tomli_w.dumps(to_values(cell.settings)))
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    with (scratch / f"{cell.name}.log").open("wb") as log:
        return subprocess.Popen(
            [*program, str(settings), str(scratch / cell.name)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=log,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        )


def ended(process: "subprocess.Popen[bytes]", cell: Cell, scratch: Path) -> str | None:
    """Wait for it; why it failed, in its own last words, or None."""
    code = process.wait()
    if process.stdin is not None:
        process.stdin.close()
    if code == 0:
        return None
    said = (scratch / f"{cell.name}.log").read_text(errors="replace").strip().splitlines()
    return said[-1].removeprefix("error: ") if said else f"ended with {code}"


def played_elsewhere(
    cell: Cell, program: Sequence[str] = CELL
) -> tuple[str | None, dict[str, bytes]]:
    """Play a run in a folder of this machine's own; its fault, and its files by name."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        fault = ended(start(cell, scratch, program), cell, scratch)
        run = scratch / cell.name
        files = {path.name: path.read_bytes() for path in run.iterdir()} if fault is None else {}
    return fault, files
