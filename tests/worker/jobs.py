"""What the tests' training processes run: they must be importable there."""

import os
import signal
import time
from pathlib import Path

LIMIT_S = 30.0


class JobError(ValueError):
    """An exception of a job's own."""


def noted(path: str, name: str) -> str:
    """Write one's name below those of the jobs before."""
    with open(path, "a") as file:
        file.write(name + "\n")
    return name


def wait_for(path: str) -> None:
    """Keep the process busy until the file is there."""
    end_s = time.monotonic() + LIMIT_S
    while not Path(path).exists():
        if time.monotonic() > end_s:
            raise TimeoutError(path)
        time.sleep(0.01)


def fail(message: str) -> None:
    raise JobError(message)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def nature() -> tuple[int, str | None, int]:
    """Process id, threads that torch would use, and how the host schedules it."""
    return os.getpid(), os.environ.get("OMP_NUM_THREADS"), os.sched_getscheduler(0)
