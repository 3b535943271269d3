"""What recording a large run costs: CPU, memory and disk of its folder, nothing else running.

    .venv/bin/python benchmarks/recording.py [--clients N] [--rounds N]

Feeds a run folder the spans and events of a made-up run (seven spans and an upload a client and
round) and closes it. CPU time of this process; the items are made outside the time.
"""

import argparse
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from protocol.telemetry import Event, Json, Span
from runs.folder import RunFolder

CONFIG: dict[str, object] = {
    "run": {"strategy": "clip-network", "aggregation": "secagg+", "metric": "accuracy"},
    "strategy": {"warmup_rounds": 2},
    "fleet": {"name": "made up"},
}
COORDINATORS = (("keys", 0.0, 0.03), ("shares", 0.03, 0.05), ("apply", 29.0, 29.1))
ROUND_S = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=100)
    arguments = parser.parse_args()
    clients, rounds = arguments.clients, arguments.rounds
    with tempfile.TemporaryDirectory() as root:
        path = Path(root) / "run"
        folder = RunFolder.create(path, CONFIG)
        spent_s, items = 0.0, 0
        for batch in batches(clients, rounds):
            begun_s = time.process_time()
            for item in batch:
                folder.record(item)
            spent_s += time.process_time() - begun_s
            items += len(batch)
        begun_s = time.process_time()
        folder.close("finished")
        closing_s = time.process_time() - begun_s
        size = sum(file.stat().st_size for file in path.iterdir())
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{clients} clients x {rounds} rounds, {items} items: recording {spent_s:.2f} s of CPU "
        f"({spent_s / clients / rounds * 1e6:.0f} µs a client and round), closing {closing_s:.2f} s"
        f", peak {peak_mb:.0f} MB, {size / 1e6:.0f} MB on disk"
    )


def batches(clients: int, rounds: int) -> Iterator[list[Span | Event]]:
    """The run's items, a round at a time."""
    chance = random.Random(1)
    pace = [chance.lognormvariate(0, 0.3) for _ in range(clients)]
    yield [Event("run_started", 0, None, 0.0)]
    yield [Event("client_joined", 0, c, 0.1, {"device": f"d{c % 7}"}) for c in range(clients)]
    for number in range(1, rounds + 1):
        yield list(one_round(number, number * ROUND_S, pace, chance))


def one_round(
    number: int, start_s: float, pace: list[float], chance: random.Random
) -> Iterator[Span | Event]:
    for client, slowness in enumerate(pace):
        yield from one_client(number, client, start_s + 0.05 * chance.random(), 3 * slowness)
    for phase, begin_s, end_s in (*COORDINATORS, ("collect", 0.05, 28.0), ("round", 0.0, 29.1)):
        yield Span(phase, number, None, start_s + begin_s, start_s + end_s)
    everybody: list[Json] = list(range(len(pace)))
    notes: dict[str, Json] = {"participants": everybody, "survivors": everybody, "metric": 0.9}
    yield Event("round_finished", number, None, start_s + 29.5, notes)


def one_client(number: int, client: int, at_s: float, fit_s: float) -> Iterator[Span | Event]:
    notes: dict[str, Json] = {
        "keep_ratio": 1.0,
        "straggler": False,
        "target_s": 5.0,
        "predicted_s": fit_s,
        "reason": "not a straggler",
        "loss": 0.5,
        "examples": 72,
    }
    fitted_s = at_s + 0.2 + fit_s
    yield Span("keys", number, client, at_s, at_s + 0.01, 300, 200)
    yield Span("shares", number, client, at_s + 0.01, at_s + 0.02, 3000, 3000)
    yield Span("download", number, client, at_s + 0.02, at_s + 0.2, 500, 1_600_000)
    yield Span("fit", number, client, at_s + 0.2, fitted_s, notes=notes)
    yield Span("mask", number, client, fitted_s, fitted_s + 0.1)
    yield Span("upload", number, client, fitted_s + 0.1, fitted_s + 0.5, 1_650_000, 300)
    arrived: dict[str, Json] = {"bytes": 1_650_000, "seconds_since_plan": fitted_s + 0.5}
    yield Event("upload_received", number, client, fitted_s + 0.5, arrived)
    yield Span("unmask", number, client, at_s + 28.5, at_s + 28.6, 300, 300)


if __name__ == "__main__":
    main()
