"""How large a fleet the virtual clock carries: `python -m benchmarks.scale [--cases 100x10]`.

Cryptography and training are modelled, bodies are phantoms, TCP senders go by rounds; the rest is
real: aiohttp, messages, links, records. Clients share the task's few examples.
Each case is played in a process of its own, so that its peak memory is its own; the wall time is
that of the whole command, joining and the report included.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent
FLEET = """title = "so many phones, alike"
[[members]]
count = {count}
device = "{device}"
network = "{network}"
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", default="20x5,100x5", help="DEVICESxROUNDS,...")
    parser.add_argument("--aggregation", default="plain", choices=("plain", "secagg", "secagg+"))
    parser.add_argument("--device", default="galaxy-note10")
    parser.add_argument("--drawn", type=int, metavar="N", help="clients a round (all)")
    parser.add_argument("--network", default="verizon-lte")
    arguments = parser.parse_args()
    shown = Table(title=f"modelled rounds, {arguments.aggregation}, {os.cpu_count()} cores")
    for column in ("devices", "rounds", "wall s", "CPU s", "worker-rounds/s", "peak MB", "run s"):
        shown.add_column(column, justify="right")
    for case in arguments.cases.split(","):
        devices, rounds = map(int, case.split("x"))
        wall_s, cpu_s, peak_mb, run_s = _play(devices, rounds, arguments)
        rate = min(devices, arguments.drawn or devices) * rounds / wall_s
        cells = (f"{wall_s:.1f}", f"{cpu_s:.1f}", f"{rate:.0f}", f"{peak_mb:.0f}", f"{run_s:.0f}")
        shown.add_row(str(devices), str(rounds), *cells)
        print(f"{case}: {wall_s:.1f} s", file=sys.stderr, flush=True)
    Console(width=100).print(shown)


def _play(
    devices: int, rounds: int, chosen: argparse.Namespace
) -> tuple[float, float, float, float]:
    """Wall and CPU seconds, peak memory in MB, and the run's own seconds."""
    with TemporaryDirectory() as folder:
        fleet = Path(folder) / "fleet.toml"
        text = FLEET.format(count=devices, device=chosen.device, network=chosen.network)
        fleet.write_text(text)
        words = [sys.executable, str(ROOT / "run_testbed.py"), "run", "--json"]
        words += ["--clock", "virtual", "--strategy", "none", "--profile", str(fleet)]
        words += ["--rounds", str(rounds), "--out", str(Path(folder) / "run")]
        for setting in ("crypto=modelled", "training=modelled", "tcp=rounds", "warmup_rounds=1"):
            words += ["--set", setting]
        words += ["--set", "partition=shared", "--set", f"aggregation={chosen.aggregation}"]
        if chosen.drawn:
            words += ["--set", f"clients_per_round={chosen.drawn}"]
        start_s = time.perf_counter()
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        said = process.stdout.read() if process.stdout else b""
        _, status, used = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start_s
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{devices} x {rounds}: the run ended with {process.returncode}")
        run_s = json.loads(said)["totals"]["run_s"]
    return wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e3, run_s


if __name__ == "__main__":
    main()
