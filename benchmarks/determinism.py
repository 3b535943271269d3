"""How many logs equal virtual runs give: `python -m benchmarks.determinism [--repeats 10]`.

Plays one configuration with real training and real masks again and again, each run in a process of
its own with another hash seed, in turn pinned to one core with one training process and to two
cores with two, and counts the different event logs and models. One of each is what is promised.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--profile", default="mixed-20")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    logs, models = set[str](), set[str]()
    with TemporaryDirectory() as folder:
        for number in range(arguments.repeats):
            count = 1 + number % min(2, len(cores))
            log, model = _played(Path(folder) / str(number), number + 1, cores[:count], arguments)
            logs.add(log)
            models.add(model)
            print(
                f"run {number + 1}, {count} cores: log {log[:16]}, model {model[:16]}", flush=True
            )
    print(f"{arguments.repeats} runs: {len(logs)} event logs, {len(models)} models")
    sys.exit(0 if len(logs) == len(models) == 1 else 1)


def _played(
    out: Path, hash_seed: int, cores: list[int], chosen: argparse.Namespace
) -> tuple[str, str]:
    """The digests of a run's event log and of its model."""
    words = [sys.executable, str(ROOT / "run_testbed.py"), "run", "--json", "--clock", "virtual"]
    words += ["--profile", chosen.profile, "--rounds", str(chosen.rounds), "--out", str(out)]
    for setting in (f"training_processes={len(cores)}", *chosen.set):
        words += ["--set", setting]
    ended = subprocess.run(
        ["taskset", "--cpu-list", ",".join(map(str, cores)), *words],
        env=os.environ | {"PYTHONHASHSEED": str(hash_seed), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    if ended.returncode:
        raise SystemExit(f"a run ended with {ended.returncode}")
    model = hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest()
    return json.loads(ended.stdout)["events_sha256"], model


if __name__ == "__main__":
    main()
