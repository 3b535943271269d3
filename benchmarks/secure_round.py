"""Whole secure rounds over loopback, unthrottled: `python -m benchmarks.secure_round [--quick]`.

The real coordinator in this process; the clients in as many others as there are cores, each with
the worker's own channel, transfers and party (`benchmarks.secure_clients`). Only training is left
out: every client answers with a fixed vector. `--memory` shows the coordinator's peak memory
instead, each fleet in a process of its own.
"""

import argparse
import asyncio
import gc
import json
import os
import resource
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.secure_clients import RING_BITS, Setting
from commands.coordination import new_token, served
from coordinator.admission import Admission
from coordinator.engine import Coordinator, Parts
from coordinator.intake import TelemetryIntake
from coordinator.limits import Limits
from coordinator.model import Applied, Evaluation
from coordinator.summation import SumRule
from learning.layout import VectorLayout
from learning.structure import Group, Parameter, Structure, Vector
from protocol.pattern import NO_PATTERN, PatternName
from protocol.secagg.packing import packed_size
from protocol.secagg.regular_graph import choose_degree
from protocol.secagg.ring import Words
from protocol.secagg.threshold import default_threshold
from protocol.sizes import CHECKSUM_BYTES, SESSION_BYTES
from protocol.telemetry import Event, ListRecorder, Span, Tracer
from strategies.none import Everybody

ROOT = Path(__file__).parent.parent
CORES = os.cpu_count() or 1
CONSOLE = Console(width=130)


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one round, as the coordinator saw it."""

    keys_s: float
    shares_s: float
    collect_s: float
    """From the shares' delivery until the last vector is in the sum: downloads, masks, uploads."""
    unmask_s: float
    """Until the new model is there."""

    @property
    def round_s(self) -> float:
        return self.keys_s + self.shares_s + self.collect_s + self.unmask_s


@dataclass(frozen=True, slots=True)
class Played:
    """What a few rounds were like."""

    timings: tuple[Timing, ...]
    bytes_each: float
    """That a client uploads for each coordinate, checksum included."""
    cpu_s: float
    """Of the coordinator's process and the clients', over all rounds and their coming and going,
    but not until they can begin."""

    @property
    def best(self) -> Timing:
        """The first round warms up."""
        return min(self.timings[1:], key=lambda timing: timing.round_s)


class MeanModel:
    """A model without neurons; everything but its evaluation is the real one's."""

    def __init__(self, setting: Setting) -> None:
        parameters = [Parameter("weights", (setting.size,), (None,))]
        structure = Structure([Group("output", 1, prunable=False)], parameters, lambda widths: {})
        self._layout = VectorLayout(structure, "total")
        self._fixed_point = setting.fixed_point
        self._vector = np.zeros(setting.size, np.float32)

    @property
    def vector(self) -> Vector:
        return self._vector

    @property
    def size(self) -> int:
        return self._layout.structure.size

    @property
    def words(self) -> int:
        return self._layout.structure.size + self._layout.length + 1

    def portion(self, instruction: bytes) -> "MeanModel":
        return self

    @property
    def pattern(self) -> PatternName:
        return NO_PATTERN

    def spread(self, words: Words) -> Words:
        return words

    def tail(self, held: str) -> bytes:
        return b""

    def apply(self, total: Words, clients: int, round_: int) -> Applied:
        size = self._layout.structure.size
        summed = self._fixed_point.dequantise(total[:size])
        integers = self._fixed_point.to_integers(total[size:])
        self._vector = self._vector + self._layout.mean(summed, integers[:-1])
        return Applied(int(integers[-1]) / self._fixed_point.share_parts / clients)

    async def evaluate(self) -> Evaluation:
        return Evaluation(0.0, 0.0, ())


def rounds_of(setting: Setting, rounds: int) -> Played:
    """ArithmeticError unless the model is the mean of what the clients sent."""
    return asyncio.run(_rounds_of(setting, rounds))


async def _rounds_of(setting: Setting, rounds: int) -> Played:
    recorder, token = ListRecorder(), new_token()
    model = MeanModel(setting)
    coordinator = _coordinator(setting, rounds, model, (recorder, token))
    gc.freeze()
    start_s = time.process_time()
    async with (
        served(coordinator, ("127.0.0.1", 0)) as url,
        _playing(setting, (url, token)) as playing,
    ):
        await coordinator.run()
        clients_s = await playing
    spent_s = time.process_time() - start_s + clients_s
    _check(setting, rounds, model, recorder)
    spans = [item for item in recorder.items if isinstance(item, Span) and item.client is None]
    timings = tuple(_timing(spans, round_) for round_ in range(1, rounds + 1))
    uploaded = packed_size(model.words, RING_BITS) + CHECKSUM_BYTES
    return Played(timings, uploaded / setting.size, spent_s)


@asynccontextmanager
async def _playing(setting: Setting, access: tuple[str, str]) -> AsyncIterator[Awaitable[float]]:
    """The clients, in as many processes as there are cores, as Flower's are. Yields what is to be
    their seconds of processor time."""
    command = (sys.executable, "-m", "benchmarks.secure_clients")
    places, pipe = range(setting.clients), asyncio.subprocess.PIPE
    orders = [setting.order(*access, places[first::CORES]) for first in range(CORES)]
    processes = [
        await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe)
        for _ in orders
    ]

    async def played() -> float:
        playing = (p.communicate(order) for p, order in zip(processes, orders, strict=True))
        return sum(float(said) for said, _ in await asyncio.gather(*playing))

    try:
        yield asyncio.create_task(played())
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                process.kill()


def _check(setting: Setting, rounds: int, model: MeanModel, recorder: ListRecorder) -> None:
    values = [setting.value(client) for client in range(setting.lost, setting.clients)]
    expected = rounds * sum(values) / len(values)
    error = float(np.abs(model.vector - expected).max())
    if error > rounds * (setting.fixed_point.step + 1e-6):
        events = [item for item in recorder.items if isinstance(item, Event)]
        reasons = {str(event.notes["reason"]) for event in events if "reason" in event.notes}
        raise ArithmeticError(f"the mean of {rounds} rounds is off by {error}; told: {reasons}")


def _coordinator(
    setting: Setting, rounds: int, model: MeanModel, recorded: tuple[ListRecorder, str]
) -> Coordinator:
    recorder, token = recorded
    session, limits = secrets.token_bytes(SESSION_BYTES), Limits()
    parts = Parts(
        model=model,
        strategy=Everybody(),
        rule=SumRule(
            setting.aggregation,
            session,
            RING_BITS,
            lambda parties: (setting.threshold, setting.neighbours),
        ),
        admission=Admission(token, session, {}, limits.handshake_s),
        tracer=Tracer(recorder, asyncio.get_running_loop().time),
        intake=TelemetryIntake(recorder),
        limits=limits,
    )
    return Coordinator(parts, setting.clients, rounds)


def _timing(spans: Sequence[Span], round_: int) -> Timing:
    """From the coordinator's spans; what lies between two belongs to the later."""
    ends = {span.phase: span.end_s for span in spans if span.round == round_}
    (start_s,) = (s.start_s for s in spans if (s.round, s.phase) == (round_, "round"))
    marks = [start_s, ends["keys"], ends["shares"], ends["collect"], ends["round"]]
    return Timing(*(end - begin for begin, end in pairwise(marks)))


def settings(quick: bool) -> Iterator[Setting]:
    """Both graphs; nobody lost and some; masks expanded ahead."""
    clients, size = (5, 200_000) if quick else (20, 1_000_000)
    threshold = default_threshold(clients)
    for lost in (0, 1) if quick else (0, 1, 2, 6):
        yield Setting(clients, size, threshold, 0, 1.0, lost)
    yield Setting(clients, size, threshold, 0, 1.0, precompute=True)
    if not quick:
        degree, threshold = choose_degree(clients, 0.1, 0.1)
        for lost in (0, 2):
            yield Setting(clients, size, threshold, degree, 1.0, lost)


def rounds(quick: bool, count: int) -> None:
    table = Table(title=f"Best of {count - 1} rounds after a first one (ms)", title_justify="left")
    columns = ("keys", "shares", "collect", "unmask", "round", "CPU a round", "B up a parameter")
    for column in ("clients, t, graph, parameters, lost", *columns):
        table.add_column(column, justify="right" if table.columns else "left")
    for setting in settings(quick):
        played = rounds_of(setting, count)
        best = played.best
        seconds = (best.keys_s, best.shares_s, best.collect_s, best.unmask_s, best.round_s)
        milliseconds = (f"{taken_s * 1e3:,.0f}" for taken_s in (*seconds, played.cpu_s / count))
        table.add_row(_described(setting), *milliseconds, f"{played.bytes_each:.4f}")
    CONSOLE.print(table)


def _described(setting: Setting) -> str:
    graph = f"{setting.neighbours} neighbours" if setting.neighbours else "complete"
    ahead = ", masks ahead" if setting.precompute else ""
    return (
        f"{setting.clients}, {setting.threshold}, {graph}, {setting.size / 1e6:g} M,"
        f" {setting.lost}{ahead}"
    )


def memory(quick: bool) -> None:
    """Fleets of different size, the same vectors: the coordinator's memory must not differ."""
    size = 200_000 if quick else 1_000_000
    title = f"The coordinator's peak memory, uploads of {4 * size / 1e6:g} MB, few neighbours (MB)"
    table = Table(title=title, title_justify="left")
    for column in ("clients", "uploads in all", "peak of its process", "above its start"):
        table.add_column(column, justify="right")
    for clients in (20, 50) if quick else (50, 200):
        degree, threshold = choose_degree(clients, 0.1, 0.1)
        setting = Setting(clients, size, threshold, degree, 1.0)
        command = [sys.executable, "-m", "benchmarks.secure_round", "--peak"]
        done = subprocess.run(
            command, input=json.dumps(asdict(setting)), capture_output=True, text=True, cwd=ROOT
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        start_kb, peak_kb = json.loads(done.stdout)
        sizes = (clients * 4 * size / 1e6, peak_kb / 1e3, (peak_kb - start_kb) / 1e3)
        table.add_row(str(clients), *(f"{value:,.0f}" for value in sizes))
    CONSOLE.print(table)


def peak() -> None:
    """One setting from standard input; prints kB at the start and at most."""
    setting = Setting(**json.loads(sys.stdin.read()))
    start_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rounds_of(setting, 2)
    print(json.dumps([start_kb, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Whole secure rounds over loopback.")
    parser.add_argument("--quick", action="store_true", help="small sizes: half a minute")
    parser.add_argument("--rounds", type=int, default=4, help="the first one is not counted")
    parser.add_argument("--memory", action="store_true", help="the coordinator's peak memory")
    parser.add_argument("--peak", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.rounds < 2:
        parser.error("--rounds must be at least 2: the first one is not counted")
    if chosen.peak:
        peak()
    elif chosen.memory:
        memory(chosen.quick)
    else:
        rounds(chosen.quick, chosen.rounds)


if __name__ == "__main__":
    main()
