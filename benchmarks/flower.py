"""A whole secure round beside Flower's SecAgg+: `python -m benchmarks.flower [--quick]`.

Same number of clients, parameters, threshold and neighbours, same clip bound, same 2^32 ring, no
training, no losses, on the same cores, server and all clients counted alike. Ours goes over
loopback sockets, with a process of clients for each core (`benchmarks.secure_round`); Flower runs
in its simulation engine, its fastest mode, with an actor for each core, in an environment of its
own, which the first run makes under `build/` (some 50 packages). Of each, the first round warms up
and the best of the others counts.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.secure_clients import Setting
from benchmarks.secure_round import Timing, rounds_of
from protocol.secagg.regular_graph import choose_degree
from protocol.secagg.threshold import default_threshold

FLOWER = "flwr[simulation]==1.41.0"
ENVIRONMENT = Path(__file__).parent.parent / "build" / "flower-1.41.0"
CLIP = 1.0
QUANTISATION_RANGE = 2**22
"""Flower's default: its steps from -clip to clip. Ours follow from ring and clients: finer."""
LIMIT_S = 1200
PHASES = ("keys", "shares", "collect", "unmask")
STAGES = ("setup_stage", "share_keys_stage", "collect_masked_vectors_stage", "unmask_stage")
CONSOLE = Console(width=130)


class PeerFailed(Exception):
    """Flower cannot be installed or run here: one line."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Flower's best round."""

    timing: Timing
    fedavg_s: float
    """Of the last phase, FedAvg's averaging of what is already the mean."""
    versions: Mapping[str, str]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="A whole secure round, ours and Flower's.")
    parser.add_argument("--quick", action="store_true", help="small sizes: about three minutes")
    parser.add_argument("--rounds", type=int, default=4, help="the first one is not counted")
    chosen = parser.parse_args(arguments)
    if chosen.rounds < 2:
        parser.error("--rounds must be at least 2: the first one is not counted")
    CONSOLE.print(
        f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, numpy {version('numpy')},"
        f" aiohttp {version('aiohttp')}, cryptography {version('cryptography')};"
        f" best of {chosen.rounds - 1} rounds; clip ±{CLIP:g}, ring 2^32; Flower:"
        f" quantization_range 2^22, polling every 10 ms"
    )
    python = _peer_python()
    if python is not None:
        _idle(python, chosen.rounds)
    for setting in settings(chosen.quick):
        compare(setting, chosen.rounds, python)


def compare(setting: Setting, rounds: int, python: Path | None) -> None:
    """One table; without Flower where there is none."""
    table = _table(setting)
    ours, bytes_each = best_of_ours(setting, rounds)
    _add(table, f"ours ({bytes_each:.4f} B up a parameter)", ours)
    if python is not None:
        try:
            peer = best_of_peer(python, setting, rounds)
        except PeerFailed as failure:
            CONSOLE.print(f"Flower, {setting.clients} clients, {setting.size:,}: {failure}")
        else:
            _add(table, f"Flower (FedAvg {peer.fedavg_s * 1e3:,.0f})", peer.timing)
            table.add_row("ratio", *_ratios(peer.timing, ours))
    CONSOLE.print(table)


def settings(quick: bool) -> Iterator[Setting]:
    """The complete graph with two thirds; then the k-regular graph for 10 % corrupt, 10 % lost."""
    sizes = (200_000,) if quick else (1_000_000, 4_000_000)
    for clients in (5, 10) if quick else (5, 10, 20):
        for size in sizes:
            yield Setting(clients, size, default_threshold(clients), 0, CLIP)
    if not quick:
        degree, threshold = choose_degree(20, 0.1, 0.1)
        for size in sizes:
            yield Setting(20, size, threshold, degree, CLIP)


def best_of_ours(setting: Setting, rounds: int) -> tuple[Timing, float]:
    played = rounds_of(setting, rounds)
    return played.best, played.bytes_each


def best_of_peer(python: Path, setting: Setting, rounds: int) -> Peer:
    """Raises PeerFailed with the last line that Flower said."""
    command = [str(python), str(Path(__file__).with_name("flower_peer.py"))]
    for name, value in _peer_arguments(setting, rounds).items():
        command += [f"--{name}", str(value)]
    quiet = {"FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT_S, env={**os.environ, **quiet}
        )
    except subprocess.TimeoutExpired as expired:
        raise PeerFailed(f"no result within {LIMIT_S} s") from expired
    if done.returncode:
        raise PeerFailed(_last_line(done.stderr or done.stdout))
    result = json.loads(done.stdout.splitlines()[-1])
    seconds: dict[str, list[float]] = result["seconds"]
    best = min(range(1, rounds), key=lambda round_: seconds["round"][round_])
    timing = Timing(*(seconds[stage][best] for stage in STAGES))
    return Peer(timing, seconds["fedavg"][best], result["versions"])


def _idle(python: Path, rounds: int) -> None:
    """What Flower's round takes with nothing to sum: messages, actors, waiting for each other."""
    try:
        peer = best_of_peer(python, Setting(20, 10, default_threshold(20), 0, CLIP), rounds)
    except PeerFailed as failure:
        CONSOLE.print(f"Flower, 20 clients, 10 parameters: {failure}")
    else:
        versions = ", ".join(f"{name} {number}" for name, number in peer.versions.items())
        CONSOLE.print(f"Flower ({versions}) with nothing to sum, 20 clients, 10 parameters:")
        CONSOLE.print(f"{peer.timing.round_s * 1e3:,.0f} ms a round: Shamir, actors, waiting")


def _peer_arguments(setting: Setting, rounds: int) -> dict[str, object]:
    """Flower counts a client's own share among its shares."""
    return {
        "clients": setting.clients,
        "size": setting.size,
        "shares": setting.neighbours + 1 if setting.neighbours else setting.clients,
        "threshold": setting.threshold,
        "rounds": rounds,
        "quantization-range": QUANTISATION_RANGE,
        "clip": setting.clip,
    }


def _peer_python() -> Path | None:
    """Flower's environment, made if need be; None, said in one line, if that cannot be."""
    python = ENVIRONMENT / "bin" / "python"
    done = ENVIRONMENT / ".installed"
    if done.exists():
        return python
    CONSOLE.print(f"making {ENVIRONMENT} with {FLOWER}")
    commands = (
        [sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)],
        [str(python), "-m", "pip", "install", "--quiet", FLOWER],
    )
    for command in commands:
        made = subprocess.run(command, capture_output=True, text=True)
        if made.returncode:
            reason = _last_line(made.stderr)
            CONSOLE.print(f"Flower cannot be installed here, ours follows alone: {reason}")
            return None
    done.touch()
    return python


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing"


def _table(setting: Setting) -> Table:
    graph = f"{setting.neighbours} neighbours" if setting.neighbours else "complete graph"
    title = f"{setting.clients} clients, t = {setting.threshold}, {graph}, {setting.size / 1e6:g} M"
    table = Table(title=f"{title} parameters, none lost (ms)", title_justify="left")
    table.add_column("", min_width=34)
    for column in (*PHASES, "round"):
        table.add_column(column, justify="right")
    return table


def _add(table: Table, whose: str, timing: Timing) -> None:
    table.add_row(whose, *(f"{seconds * 1e3:,.0f}" for seconds in _seconds(timing)))


def _ratios(peer: Timing, ours: Timing) -> list[str]:
    pairs = zip(_seconds(peer), _seconds(ours), strict=True)
    return [f"{theirs / own:.1f}" for theirs, own in pairs]


def _seconds(timing: Timing) -> tuple[float, ...]:
    return (timing.keys_s, timing.shares_s, timing.collect_s, timing.unmask_s, timing.round_s)


if __name__ == "__main__":
    main()
