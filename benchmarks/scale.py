"""How large a fleet the virtual clock carries: `python -m benchmarks.scale [--cases 100x10]`.

A case is DEVICESxROUNDS or FLEETxROUNDS: `python -m benchmarks.scale --cases population-1000x100`.
Cryptography and training are modelled, bodies are phantoms, TCP senders go by rounds; the rest is
real: aiohttp, messages, links, records. Clients share the task's few examples.
Each case is played in a process of its own, so that its peak memory is its own; the wall time is
that of the whole command, joining and the report included.
"""

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
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
    parser.add_argument("--cases", default="20x5,100x5", help="DEVICESxROUNDS or FLEETxROUNDS,...")
    parser.add_argument("--aggregation", default="plain", choices=("plain", "secagg", "secagg+"))
    parser.add_argument("--device", default="galaxy-note10")
    parser.add_argument("--drawn", type=int, metavar="N", help="clients a round (all)")
    parser.add_argument("--network", default="verizon-lte")
    arguments = parser.parse_args()
    shown = Table(title=f"modelled rounds, {arguments.aggregation}, {os.cpu_count()} cores")
    for column in ("devices", "rounds", "worker-rounds", "wall s", "CPU s", "a second", "peak MB"):
        shown.add_column(column, justify="right")
    for case in arguments.cases.split(","):
        devices, _, rounds = case.rpartition("x")
        played = _play(devices, int(rounds), arguments)
        cells = (f"{played.wall_s:.1f}", f"{played.cpu_s:.1f}")
        rate = f"{played.worker_rounds / played.wall_s:.0f}"
        shown.add_row(
            devices, rounds, str(played.worker_rounds), *cells, rate, f"{played.peak_mb:.0f}"
        )
        print(f"{case}: {played.wall_s:.1f} s", file=sys.stderr, flush=True)
    Console(width=100).print(shown)


@dataclass(frozen=True, slots=True)
class _Played:
    wall_s: float
    cpu_s: float
    peak_mb: float
    worker_rounds: int


def _play(devices: str, rounds: int, chosen: argparse.Namespace) -> _Played:
    """`devices`: how many alike, or a fleet's name."""
    with TemporaryDirectory() as folder:
        out, fleet = Path(folder) / "run", Path(folder) / "fleet.toml"
        text = FLEET.format(count=devices, device=chosen.device, network=chosen.network)
        fleet.write_text(text)
        profile = str(fleet) if devices.isdecimal() else devices
        words = [sys.executable, str(ROOT / "run_testbed.py"), "run", "--json"]
        words += ["--clock", "virtual", "--strategy", "none", "--profile", profile]
        words += ["--rounds", str(rounds), "--out", str(out)]
        for setting in ("crypto=modelled", "training=modelled", "tcp=rounds", "warmup_rounds=1"):
            words += ["--set", setting]
        words += ["--set", "partition=shared", "--set", f"aggregation={chosen.aggregation}"]
        if chosen.drawn:
            words += ["--set", f"clients_per_round={chosen.drawn}"]
        start_s = time.perf_counter()
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start_s
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{devices} x {rounds}: the run ended with {process.returncode}")
        with (out / "clients.csv").open() as lines:
            worker_rounds = sum(1 for _ in lines) - 1
    return _Played(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e3, worker_rounds)


if __name__ == "__main__":
    main()
