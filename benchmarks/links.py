"""How exact are the emulated links? Measures them on this machine and prints tables.

    python benchmarks/links.py [--quick] [--only rates|fleet|delay|fair]...

A plain server (asyncio streams, aiohttp) runs in a process of its own; the shaped clients run
here, as workers do. Transfers are timed at the receiving side: the rate is that of the wire bytes
between the first arrival and the last; bytes of the first arrival do not count.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from aiohttp import web

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from netem.connector import ShapedConnector, connect
from netem.device import DeviceLinks, LinkPair
from netem.fidelity import FidelityMeter, Verdict
from netem.link import FRAME_BYTES, SEGMENT_BYTES, LinkParameters, wire_bytes
from netem.timer import Timer, timer_for

BYTES_PER_MBIT = 1e6 / 8
CHUNK = bytes(65536)
PING_BYTES = 100


@dataclass
class Arrivals:
    """When bytes came in, at the receiver (the monotonic clock is one for all processes)."""

    times_s: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def add(self, size: int) -> None:
        self.times_s.append(time.monotonic())
        self.sizes.append(size)

    def rate(self) -> float:
        """Wire bytes a second; the sender's queue is never empty, so segments are full."""
        wire = sum(self.sizes[1:]) * FRAME_BYTES / SEGMENT_BYTES
        return wire / (self.times_s[-1] - self.times_s[0])

    def windows(self, window_s: float = 0.1) -> list[float]:
        """The rate in every window, the curve taken as linear between two arrivals."""
        edges = np.arange(self.times_s[0], self.times_s[-1], window_s)
        curve = np.interp(edges, self.times_s, list(accumulate(self.sizes)))
        return list(np.diff(curve) * FRAME_BYTES / SEGMENT_BYTES / window_s)

    def until(self, at_s: float) -> int:
        pairs = zip(self.times_s, self.sizes, strict=True)
        return sum(size for t, size in pairs if t <= at_s)


# The plain server.


async def serve_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """`U n`: take n bytes, say when they came. `D n`: send n bytes. `E`: echo with the time."""
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        while line := await reader.readline():
            order, count = line.split()
            if order == b"U":
                arrivals = await receive(reader, int(count))
                writer.write(json.dumps([arrivals.times_s, arrivals.sizes]).encode() + b"\n")
            elif order == b"D":
                for start in range(0, int(count), len(CHUNK)):
                    writer.write(CHUNK[: int(count) - start])
                    await writer.drain()
            else:
                await reader.readexactly(PING_BYTES - len(line))
                writer.write(f"{time.monotonic():.9f}\n".encode().rjust(PING_BYTES))
    writer.close()


async def receive(reader: asyncio.StreamReader, count: int) -> Arrivals:
    arrivals = Arrivals()
    while count > 0:
        data = await reader.read(min(count, 1 << 20))
        if not data:
            raise ConnectionError("the stream ended early")
        arrivals.add(len(data))
        count -= len(data)
    return arrivals


async def put(request: web.Request) -> web.Response:
    arrivals = Arrivals()
    async for data in request.content.iter_any():
        arrivals.add(len(data))
    return web.json_response([arrivals.times_s, arrivals.sizes])


async def get(request: web.Request) -> web.StreamResponse:
    count = int(request.query["bytes"])
    response = web.StreamResponse(headers={"Content-Length": str(count)})
    await response.prepare(request)
    for start in range(0, count, len(CHUNK)):
        await response.write(CHUNK[: count - start])
    return response


async def serve(ports: Any) -> None:  # noqa: ANN401
    streams = await asyncio.start_server(serve_stream, "127.0.0.1", 0)
    app = web.Application()
    app.add_routes([web.put("/", put), web.get("/", get)])
    runner = web.AppRunner(app)
    await runner.setup()
    sock = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, sock).start()
    ports.send((streams.sockets[0].getsockname()[1], sock.getsockname()[1]))
    await asyncio.Event().wait()


def serve_forever(ports: Any) -> None:  # noqa: ANN401
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(ports))


def hog() -> None:
    """Burn a core as training does, at SCHED_IDLE."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    while True:
        pass


@contextmanager
def processes(target: Any, count: int, *args: object) -> Iterator[None]:  # noqa: ANN401
    context = multiprocessing.get_context("spawn")
    started = [context.Process(target=target, args=args, daemon=True) for _ in range(count)]
    for process in started:
        process.start()
    try:
        yield
    finally:
        for process in started:
            process.terminate()
            process.join()


# The shaped clients.


@dataclass(frozen=True)
class Bench:
    timer: Timer
    stream_port: int
    http_port: int
    seconds: float

    def links(self, mbit_s: float, rtt_ms: float) -> DeviceLinks:
        one = LinkParameters(mbit_s * BYTES_PER_MBIT, rtt_ms / 2000)
        return DeviceLinks(LinkPair(one, one), self.timer, FidelityMeter())


@asynccontextmanager
async def stream(
    bench: Bench, links: DeviceLinks
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    transport, protocol = await connect(
        links, lambda: asyncio.StreamReaderProtocol(reader), "127.0.0.1", bench.stream_port
    )
    writer = asyncio.StreamWriter(transport, protocol, reader, loop)
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


async def raw_up(bench: Bench, links: DeviceLinks, count: int) -> Arrivals:
    async with stream(bench, links) as (reader, writer):
        writer.write(b"U %d\n" % count)
        for start in range(0, count, len(CHUNK)):
            writer.write(CHUNK[: count - start])
            await writer.drain()
        return Arrivals(*json.loads(await reader.readline()))


async def raw_down(bench: Bench, links: DeviceLinks, count: int) -> Arrivals:
    async with stream(bench, links) as (reader, writer):
        writer.write(b"D %d\n" % count)
        return await receive(reader, count)


async def http_up(bench: Bench, links: DeviceLinks, count: int) -> Arrivals:
    async def body() -> AsyncIterator[bytes]:
        for start in range(0, count, len(CHUNK)):
            yield CHUNK[: count - start]

    async with aiohttp.ClientSession(connector=ShapedConnector(links)) as session:
        headers = {"Content-Length": str(count)}
        url = f"http://127.0.0.1:{bench.http_port}/"
        async with session.put(url, data=body(), headers=headers) as response:
            return Arrivals(*await response.json())


async def http_down(bench: Bench, links: DeviceLinks, count: int) -> Arrivals:
    async with aiohttp.ClientSession(connector=ShapedConnector(links)) as session:
        url = f"http://127.0.0.1:{bench.http_port}/?bytes={count}"
        arrivals = Arrivals()
        async with session.get(url) as response:
            async for data in response.content.iter_any():
                arrivals.add(len(data))
        return arrivals


TRANSFERS = {"raw up": raw_up, "raw down": raw_down, "http up": http_up, "http down": http_down}


async def cpu_share(work: Coroutine[Any, Any, Any]) -> tuple[Any, float]:
    wall_s, cpu_s = time.monotonic(), time.process_time()
    result = await work
    return result, (time.process_time() - cpu_s) / (time.monotonic() - wall_s)


def per_cent(errors: Sequence[float]) -> str:
    sizes = [abs(e) * 100 for e in errors]
    return f"{np.median(sizes):7.3f} {max(sizes):7.3f}"


def lateness(verdict: Verdict) -> str:
    figures = (verdict.lateness_ms_p50, verdict.lateness_ms_p99, verdict.lateness_ms_max)
    return " ".join(f"{figure or 0:7.3f}" for figure in figures)


async def rates(bench: Bench, quick: bool) -> None:
    print(
        "\nOne flow: rate error in % (signed), 100 ms windows p1-p99, CPU, lateness p50/p99/max ms"
    )
    grid = [(m, r) for m in (1, 5, 20, 100, 200) for r in (5, 50, 200)]
    grid = [(1, 50), (20, 50), (100, 5), (200, 200)] if quick else grid
    errors: dict[str, list[float]] = {name: [] for name in TRANSFERS}
    for mbit_s, rtt_ms in grid:
        for name, transfer in TRANSFERS.items():
            links = bench.links(mbit_s, rtt_ms)
            count = int(mbit_s * BYTES_PER_MBIT * bench.seconds)
            arrivals, cpu = await cpu_share(transfer(bench, links, count))
            links.close()
            asked = mbit_s * BYTES_PER_MBIT
            error = arrivals.rate() / asked - 1
            errors[name].append(error)
            low, high = np.percentile(np.array(arrivals.windows()) / asked, [1, 99])
            print(
                f"{mbit_s:4d} Mbit/s {rtt_ms:4d} ms  {name:9s} {error * 100:+7.3f} %"
                f"  {low:.3f}-{high:.3f}  {cpu:4.0%}  {lateness(links.meter.verdict())}"
            )
    for name, values in errors.items():
        print(f"{name:9s} rate error median / worst %: {per_cent(values)}")


async def fleet(bench: Bench, quick: bool) -> None:
    print("\n20 devices x 10 Mbit/s, 50 ms, one process: error % median/worst, CPU, lateness")
    names = ("raw up", "http down") if quick else tuple(TRANSFERS)
    for hogs in (0, 2):
        with processes(hog, hogs):
            await asyncio.sleep(0.5 if hogs else 0)
            for name in names:
                print(f"{hogs} idle-class hogs  {name:9s} " + await fleet_of(bench, name))


async def fleet_of(bench: Bench, name: str, devices: int = 20, mbit_s: float = 10) -> str:
    everyone = [bench.links(mbit_s, 50) for _ in range(devices)]
    count = int(mbit_s * BYTES_PER_MBIT * bench.seconds)
    work = asyncio.gather(*(TRANSFERS[name](bench, links, count) for links in everyone))

    async def transfers() -> list[Arrivals]:
        return await work

    results, cpu = await cpu_share(transfers())
    errors = [a.rate() / (mbit_s * BYTES_PER_MBIT) - 1 for a in results]
    for links in everyone:
        links.close()
    merged = FidelityMeter.merged(links.meter for links in everyone)
    return f"{per_cent(errors)}  {cpu:4.0%}  {lateness(merged.verdict())}"


async def delay(bench: Bench, quick: bool) -> None:
    print("\nIdle link, 100 byte messages: error in ms, p50/p99, up / down / round trip")
    for rtt_ms in (50,) if quick else (5, 50, 200):
        links = bench.links(20, rtt_ms)
        cost_s = rtt_ms / 2000 + wire_bytes(PING_BYTES) / (20 * BYTES_PER_MBIT)
        up, down = [], []
        async with stream(bench, links) as (reader, writer):
            for _ in range(30 if rtt_ms == 200 else 100):
                start_s = time.monotonic()
                writer.write(b"E 0\n".ljust(PING_BYTES))
                answer = await reader.readexactly(PING_BYTES)
                there_s, end_s = float(answer), time.monotonic()
                up.append(there_s - start_s - cost_s)
                down.append(end_s - there_s - cost_s)
        links.close()
        both = [a + b for a, b in zip(up, down, strict=True)]
        figures = [np.percentile(np.array(x) * 1e3, [50, 99]) for x in (up, down, both)]
        print(f"{rtt_ms:4d} ms  " + "   ".join(f"{p50:.3f} / {p99:.3f}" for p50, p99 in figures))


async def fair(bench: Bench, quick: bool) -> None:
    print("\n20 flows on one link of 100 Mbit/s, 50 ms: Jain's index, error of the sum in %")
    for name in ("raw up", "raw down"):
        links = bench.links(100, 50)
        count = int(100 * BYTES_PER_MBIT * bench.seconds / 20)
        flows = await asyncio.gather(*(TRANSFERS[name](bench, links, count) for _ in range(20)))
        links.close()
        start_s = max(flow.times_s[0] for flow in flows)
        end_s = min(flow.times_s[-1] for flow in flows)
        got = [flow.until(end_s) - flow.until(start_s) for flow in flows]
        jain = sum(got) ** 2 / (len(got) * sum(g * g for g in got))
        rate = sum(got) * FRAME_BYTES / SEGMENT_BYTES / (end_s - start_s)
        error = rate / (100 * BYTES_PER_MBIT) - 1
        print(f"{name:9s} {jain:.5f}  {error * 100:+.3f} %  {lateness(links.meter.verdict())}")


BENCHES = {"rates": rates, "fleet": fleet, "delay": delay, "fair": fair}


async def measure(options: argparse.Namespace, ports: tuple[int, int]) -> None:
    timer = timer_for(asyncio.get_running_loop())
    bench = Bench(timer, *ports, seconds=1.0 if options.quick else 3.0)
    load = ", ".join(f"{x:.2f}" for x in os.getloadavg())
    print(f"{os.cpu_count()} cores, load {load}; {type(timer).__name__}; {bench.seconds:g} s each")
    for name in options.only or BENCHES:
        await BENCHES[name](bench, options.quick)
    timer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under a minute, fewer cells")
    parser.add_argument("--only", action="append", choices=BENCHES, help="only this part")
    options = parser.parse_args()
    mine, theirs = multiprocessing.get_context("spawn").Pipe()
    with processes(serve_forever, 1, theirs):
        asyncio.run(measure(options, mine.recv()))


if __name__ == "__main__":
    main()
