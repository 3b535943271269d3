"""A host process that is killed leaves no training process behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PARENT = """
import asyncio, os
from worker.pool import TrainingPool

async def main():
    pool = TrainingPool(1)
    print(await pool(0.0, os.getpid), flush=True)
    await asyncio.sleep(600)

if __name__ == "__main__":
    asyncio.run(main())
"""
LIMIT_S = 20.0


@pytest.mark.skipif(sys.platform == "win32", reason="kills by POSIX signal")
def test_training_processes_die_with_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
        deadline_s = time.monotonic() + LIMIT_S
        while _alive(child) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert not _alive(child)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{process}/stat")  # a zombie that nobody has reaped is dead
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")
