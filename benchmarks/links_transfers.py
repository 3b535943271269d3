"""The clients of `benchmarks.links`: transfers over shaped links to its plain servers, raw and
through aiohttp, timed at the receiving side."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from benchmarks.links_server import CHUNK, Arrivals, receive
from netem.connector import ShapedConnector, connect
from netem.device import DeviceLinks, LinkPair
from netem.fidelity import FidelityMeter
from netem.link import LinkParameters
from netem.timer import Timer

BYTES_PER_MBIT = 1e6 / 8


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
