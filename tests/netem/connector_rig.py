"""aiohttp over shaped links and its unmodified far end, over real sockets."""

import asyncio
import gc
import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from netem.connector import ShapedConnector
from netem.device import DeviceLinks, LinkPair
from netem.link import LinkParameters
from netem.timer import timer_for

FAST = LinkParameters(25e6, 0.002)


def content(size: int) -> bytes:
    return bytes(range(251)) * (size // 251) + bytes(size % 251)


@dataclass
class Server:
    """The unmodified far end."""

    url: str = ""
    port: int = 0
    received: bytearray = field(default_factory=bytearray)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    reading: asyncio.Event = field(default_factory=asyncio.Event)
    read_failed: asyncio.Event = field(default_factory=asyncio.Event)
    peers: set[tuple[str, int]] = field(default_factory=set)

    async def put(self, request: web.Request) -> web.Response:
        self.peers.add(request.transport.get_extra_info("peername")[:2])  # type: ignore[union-attr]
        await self.reading.wait()
        try:
            async for data in request.content.iter_any():
                self.received += data
                self.begun.set()
        except (aiohttp.ClientError, ConnectionError, web.RequestPayloadError):
            self.read_failed.set()
            raise
        return web.Response(text=str(len(self.received)))

    async def get(self, request: web.Request) -> web.StreamResponse:
        self.peers.add(request.transport.get_extra_info("peername")[:2])  # type: ignore[union-attr]
        body = content(int(request.query["bytes"]))
        response = web.StreamResponse(headers={"Content-Length": str(len(body))})
        await response.prepare(request)
        for start in range(0, len(body), 50_000):
            await response.write(body[start : start + 50_000])
        return response

    async def echo(self, request: web.Request) -> web.WebSocketResponse:
        messages = web.WebSocketResponse(max_msg_size=0)
        await messages.prepare(request)
        async for message in messages:
            await messages.send_bytes(message.data)
        return messages


@asynccontextmanager
async def serving(context: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server()
    server.reading.set()
    app = web.Application()
    app.add_routes([web.put("/", server.put), web.get("/", server.get)])
    app.add_routes([web.get("/echo", server.echo)])
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    sock = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, sock, ssl_context=context).start()
    server.port = sock.getsockname()[1]
    server.url = f"http{'s' if context else ''}://localhost:{server.port}/"
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def device(link: LinkParameters = FAST) -> AsyncIterator[DeviceLinks]:
    timer = timer_for(asyncio.get_running_loop())
    links = DeviceLinks(LinkPair(link, link), timer)
    try:
        yield links
    finally:
        links.close()
        await asyncio.sleep(0)
        timer.close()


@asynccontextmanager
async def session(
    links: DeviceLinks, context: ssl.SSLContext | bool = True
) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=ShapedConnector(links, ssl=context)) as client:
        yield client


async def pieces(data: bytes, size: int = 16_384) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def put(client: aiohttp.ClientSession, url: str, data: bytes) -> str:
    headers = {"Content-Length": str(len(data))}
    async with client.put(url, data=pieces(data), headers=headers) as response:
        return await response.text()


def leaks_nothing() -> Iterator[None]:
    """For a fixture: no descriptor more than before."""
    before = len(os.listdir("/proc/self/fd"))
    yield
    gc.collect()
    # The loop of pytest-asyncio is still open here as it was before.
    assert len(os.listdir("/proc/self/fd")) <= before


async def no_task_is_left() -> None:
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
