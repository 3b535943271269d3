"""The other end of verify's transfers, and what is measured of one: a plain HTTP server in this
process, as a run's coordinator is, so that one clock times both ends."""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import aiohttp
from aiohttp import WSMsgType, web

from netem.link import FRAME_BYTES, SEGMENT_BYTES

CHUNK = bytes(65536)
PING_BYTES = 64
_PATIENCE_S = 120.0


@dataclass(slots=True)
class Arrivals:
    """When how many bytes had come, at the receiving end."""

    times_s: list[float] = field(default_factory=list)
    totals: list[int] = field(default_factory=list)

    def add(self, count: int, at_s: float) -> None:
        self.times_s.append(at_s)
        self.totals.append((self.totals[-1] if self.totals else 0) + count)

    def until(self, at_s: float) -> int:
        """Bytes that had come by then."""
        count = bisect_right(self.times_s, at_s)
        return self.totals[count - 1] if count else 0

    def wire_bytes_per_s(self, from_share: float, least_s: float = 0.0) -> float | None:
        """The rate, framing included, once this share of the bytes had come: by then a sender
        has found the link's rate. None where too little came after that, or for less than
        `least_s`, to say."""
        if not self.totals:
            return None
        begin = next(i for i, n in enumerate(self.totals) if n >= from_share * self.totals[-1])
        seconds = self.times_s[-1] - self.times_s[begin]
        payload = self.totals[-1] - self.totals[begin]
        if seconds <= 0 or seconds < least_s or payload < 4 * SEGMENT_BYTES:
            return None
        return payload * FRAME_BYTES / SEGMENT_BYTES / seconds


class FarEnd:
    """`url` is where it is served."""

    def __init__(self) -> None:
        self.url = ""
        self._received: dict[str, Arrivals] = {}

    async def take(self, request: web.Request) -> web.Response:
        loop, arrivals = asyncio.get_running_loop(), self.expected(request.query["name"])
        with suppress(ConnectionError):  # who is only looked at for a while hangs up
            async for data in request.content.iter_any():
                arrivals.add(len(data), loop.time())
        return web.Response()

    async def give(self, request: web.Request) -> web.StreamResponse:
        count = int(request.query["bytes"])
        response = web.StreamResponse(headers={"Content-Length": str(count)})
        await response.prepare(request)
        with suppress(ConnectionError):
            for start in range(0, count, len(CHUNK)):
                await response.write(CHUNK[: count - start])
        return response

    async def echo(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        return socket

    def expected(self, name: str) -> Arrivals:
        """Where arrivals under this name are noted."""
        return self._received.setdefault(name, Arrivals())

    def received(self, name: str) -> Arrivals:
        return self._received.pop(name)


@asynccontextmanager
async def far_end() -> AsyncIterator[FarEnd]:
    served = FarEnd()
    app = web.Application(client_max_size=1 << 40)
    app.router.add_put("/", served.take)
    app.router.add_get("/", served.give)
    app.router.add_get("/echo", served.echo)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        served.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield served
    finally:
        await runner.cleanup()


async def upload(session: aiohttp.ClientSession, far: FarEnd, name: str, count: int) -> Arrivals:
    async def body() -> AsyncIterator[bytes]:
        for start in range(0, count, len(CHUNK)):
            yield CHUNK[: count - start]

    headers = {"Content-Length": str(count)}
    async with asyncio.timeout(_PATIENCE_S):
        query = {"name": name}
        async with session.put(far.url, params=query, data=body(), headers=headers) as response:
            response.raise_for_status()
    return far.received(name)


async def download(session: aiohttp.ClientSession, far: FarEnd, name: str, count: int) -> Arrivals:
    loop, arrivals = asyncio.get_running_loop(), far.expected(name)
    async with asyncio.timeout(_PATIENCE_S):
        query = {"name": name, "bytes": str(count)}
        async with session.get(far.url, params=query) as response:
            async for data in response.content.iter_any():
                arrivals.add(len(data), loop.time())
    return far.received(name)


async def round_trips(
    session: aiohttp.ClientSession, far: FarEnd, count: int, pause_s: float
) -> list[float]:
    """Seconds of each exchange of a small message, on an idle link."""
    loop, taken_s = asyncio.get_running_loop(), []
    async with asyncio.timeout(_PATIENCE_S), session.ws_connect(f"{far.url}/echo") as socket:
        for _ in range(count):
            await asyncio.sleep(pause_s)
            start_s = loop.time()
            await socket.send_bytes(bytes(PING_BYTES))
            await socket.receive_bytes()
            taken_s.append(loop.time() - start_s)
    return taken_s
