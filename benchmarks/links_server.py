"""The far end of `benchmarks.links`: plain servers, in processes of their own.

Knows nothing of shaping: asyncio streams and aiohttp as they are.
"""

import asyncio
import json
import multiprocessing
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np
from aiohttp import web

from netem.link import FRAME_BYTES, SEGMENT_BYTES

CHUNK = bytes(65536)
PING_BYTES = 100
REPORT_PAUSE_S = 0.3
"""The server writes its report when the others have finished too, so as not to delay them."""


@dataclass
class Arrivals:
    """When bytes came in, at the receiver (the monotonic clock is one for all processes)."""

    times_s: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def add(self, size: int) -> None:
        self.times_s.append(time.monotonic())
        self.sizes.append(size)

    def rate(self) -> float:
        """Wire bytes a second, from the first arrival that is 100 ms after the very first, so
        that the receiver's own start does not count. Segments are full, since the sender's
        queue is never empty."""
        start = next(i for i, t in enumerate(self.times_s) if t >= self.times_s[0] + 0.1)
        wire = sum(self.sizes[start + 1 :]) * FRAME_BYTES / SEGMENT_BYTES
        return wire / (self.times_s[-1] - self.times_s[start])

    def windows(self, window_s: float = 0.1) -> list[float]:
        """The rate in every window, the curve taken as linear between two arrivals."""
        edges = np.arange(self.times_s[0], self.times_s[-1], window_s)
        curve = np.interp(edges, self.times_s, list(accumulate(self.sizes)))
        return list(np.diff(curve) * FRAME_BYTES / SEGMENT_BYTES / window_s)

    def until(self, at_s: float) -> int:
        pairs = zip(self.times_s, self.sizes, strict=True)
        return sum(size for t, size in pairs if t <= at_s)


async def serve_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """`U n`: take n bytes, say when they came. `D n`: send n bytes. `E`: echo with the time."""
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        while line := await reader.readline():
            order, count = line.split()
            if order == b"U":
                arrivals = await receive(reader, int(count))
                await asyncio.sleep(REPORT_PAUSE_S)
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
    await asyncio.sleep(REPORT_PAUSE_S)
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
