"""Real trace files replayed through real sockets: delivered against the trace's own integral.

    STRAGGLER_TRACES=FOLDER python -m benchmarks.traces [--seconds 40] [FILE-NAME-PART...]

A shaped connection over loopback is kept busy; its receiver counts what arrives in every window
of 10 s. `worst` is the largest error of a window. Without a folder the shipped synthetic traces
are played.
"""

import argparse
import asyncio
import os
import resource
from itertools import pairwise
from pathlib import Path

from netem.connector import connect
from netem.device import DeviceLinks, LinkPair
from netem.link import LinkParameters
from netem.playback import Playback
from netem.replay import follow
from netem.timer import Timer, sleep_until, timer_for
from profiles.catalogue import list_traces, locate_trace
from profiles.trace import Rate
from profiles.trace_reading import read_trace
from tests.netem.windows import OURS, WINDOW_S, link_files, read_link, worst_window

_DELAY_S = 0.02


class _Source(asyncio.Protocol):
    """Writes whenever it may."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.WriteTransport):
            self._transport = transport

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self.fill()

    def fill(self) -> None:
        while self._transport and not self._transport.is_closing() and not self._paused:
            self._transport.write(bytes(16384))


class _Sink(asyncio.Protocol):
    """Counts what really comes out of the socket."""

    def __init__(self) -> None:
        self.received = 0

    def data_received(self, data: bytes) -> None:
        self.received += len(data)


async def replay(rate: Rate, seconds: float) -> tuple[list[float], float]:
    """Wire bytes delivered up the link in each window, and the worst lateness in ms."""
    loop = asyncio.get_running_loop()
    timer, sink = timer_for(loop), _Sink()
    server = await loop.create_server(lambda: sink, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    fast = LinkParameters(1e9, 0.0)
    start_s = loop.time() + 1.0
    capacity = follow(rate, Playback(start_s))
    links = DeviceLinks(LinkPair(LinkParameters.following(capacity, _DELAY_S), fast), timer)
    try:
        await sleep_until(timer, start_s)
        return await _windows(links, (timer, port, start_s), sink, seconds)
    finally:
        links.close()
        server.close()
        await asyncio.sleep(0.05)
        timer.close()


async def _windows(
    links: DeviceLinks, means: tuple[Timer, int, float], sink: _Sink, seconds: float
) -> tuple[list[float], float]:
    """The first window begins late, by the connection's set-up: it is left out."""
    timer, port, start_s = means
    source = _Source()
    await connect(links, lambda: source, "127.0.0.1", port)
    source.fill()
    counts = []
    for window in range(1, int(seconds / WINDOW_S) + 2):
        await sleep_until(timer, start_s + window * WINDOW_S + _DELAY_S)
        counts.append(sink.received)
    late_ms = links.meter.measured().lateness_ms_p99 or 0.0
    wire = 1514 / 1448  # full segments only: the source never runs dry
    return [(b - a) * wire for a, b in pairwise(counts)], late_ms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("names", nargs="*", help="parts of file names (all)")
    arguments = parser.parse_args()
    folder = os.environ.get("STRAGGLER_TRACES")
    files = link_files(Path(folder)) if folder else _shipped()
    figures = f"{'Mbit/s':>8}{'windows':>9}{'total':>9}{'worst':>9}{'late p99':>10}{'CPU':>7}"
    print(f"{'trace':<34}{figures}")
    for path, format_ in files:
        if not arguments.names or any(name in path.name for name in arguments.names):
            _measure(path, read_link(path, format_), arguments.seconds)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; one connection up, loopback")


def _shipped() -> list[tuple[Path, str]]:
    paths = [locate_trace(name, Path()) for name in list_traces()]
    return [(p, OURS) for p in paths if (d := read_trace(p).devices[0]).down or d.up]


def _measure(path: Path, rate: Rate, seconds: float) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF)
    delivered, late_ms = asyncio.run(replay(rate, seconds))
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    later = follow(rate, Playback(-WINDOW_S))  # the first window was left out
    asked = later.carried_bytes(0.0, len(delivered) * WINDOW_S)
    mbit_s = sum(delivered) * 8e-6 / (len(delivered) * WINDOW_S)
    total = sum(delivered) / asked - 1
    worst = worst_window(later, delivered)
    share = cpu / (seconds + WINDOW_S)
    figures = f"{mbit_s:>8.2f}{len(delivered):>9}{total:>+9.3%}{worst:>9.3%}{late_ms:>7.2f} ms"
    print(f"{path.name:<34}{figures}{share:>7.1%}", flush=True)


if __name__ == "__main__":
    main()
