"""The contract of asyncio's stream transports, held up to real sockets and to memory alike."""

import asyncio

import aiohttp
import pytest
from aiohttp import web

from netem.virtual.loop import VirtualLoop
from netem.virtual.streams import SOCKET_BYTES
from tests.netem.stream_cases import CASES, Case, Peer, connected

CLOCKS = {"wall": asyncio.new_event_loop, "virtual": VirtualLoop}


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_stream(clock: str, case: Case) -> None:
    async def main() -> None:
        await connected(case, Peer(), Peer())

    with asyncio.Runner(loop_factory=CLOCKS[clock]) as runner:
        runner.run(main())


class Buffered(asyncio.BufferedProtocol):
    """Takes what comes in pieces of seven bytes."""

    def __init__(self) -> None:
        self.data, self.buffer = b"", bytearray(7)
        self.transport = asyncio.Transport()
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data += bytes(self.buffer[:nbytes])

    def eof_received(self) -> None:
        self.ended.set()


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_protocol_with_a_buffer_of_its_own(clock: str) -> None:
    async def main() -> bytes:
        loop, far = asyncio.get_running_loop(), Buffered()
        server = await loop.create_server(lambda: far, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()[:2]
        _, writer = await asyncio.open_connection(host, port)
        writer.write(bytes(range(100)))
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        await far.ended.wait()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0.01)
        return far.data

    with asyncio.Runner(loop_factory=CLOCKS[clock]) as runner:
        assert runner.run(main()) == bytes(range(100))


@pytest.mark.parametrize("clock", CLOCKS)
def test_nobody_listens(clock: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()[:2]
        assert server.is_serving()
        with pytest.raises(OSError, match="in use"):
            await loop.create_server(asyncio.Protocol, host, port)
        server.close()
        await server.wait_closed()
        assert not server.is_serving()
        assert not server.sockets
        with pytest.raises(ConnectionRefusedError):
            await loop.create_connection(asyncio.Protocol, host, port)

    with asyncio.Runner(loop_factory=CLOCKS[clock]) as runner:
        runner.run(main())


def test_memory_takes_no_more_than_a_socket_would() -> None:
    async def hold(near: Peer, far: Peer) -> None:
        far.transport.pause_reading()
        near.transport.write(bytes(SOCKET_BYTES))
        assert near.transport.get_write_buffer_size() == 0
        near.transport.write(b"1")
        assert near.transport.get_write_buffer_size() == 1

    async def main() -> None:
        await connected(hold, Peer(), Peer())

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


async def answer(request: web.Request) -> web.Response:
    return web.Response(body=(await request.read())[::-1])


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(heartbeat=10, max_msg_size=0)
    await socket.prepare(request)
    async for message in socket:
        await socket.send_bytes(message.data)
    return socket


def test_aiohttps_own_unix_site_and_connector_run_unchanged() -> None:
    """And their heartbeats, over an hour."""

    async def main() -> float:
        app = web.Application(client_max_size=1 << 24)
        app.add_routes([web.put("/", answer), web.get("/echo", echo)])
        runner = web.AppRunner(app)
        await runner.setup()
        await web.UnixSite(runner, "/in/memory").start()
        connector = aiohttp.UnixConnector("/in/memory")
        async with aiohttp.ClientSession(connector=connector) as client:
            for size in (0, 1, 100_000, 900_000):
                body = bytes(range(250)) * (size // 250)
                async with client.put("http://anybody/", data=body) as response:
                    assert await response.read() == body[::-1]
            async with client.ws_connect("http://anybody/echo", heartbeat=30) as socket:
                reading = asyncio.create_task(socket.receive_bytes())
                await asyncio.sleep(3600)
                assert not reading.done()
                await socket.send_bytes(b"still here")
                assert await reading == b"still here"
        await runner.cleanup()
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(main()) >= 3600
