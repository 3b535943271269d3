"""HTTP from inside a device's namespace, and the relay that carries it on."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from netem.fidelity import FidelityMeter
from netem.packet.access import PacketAccess, open_net
from netem.packet.control import Control
from netem.packet.errors import LinksLost
from netem.packet.link import PacketLink
from netem.packet.net import PacketNet, PacketPair, PacketSettings
from netem.packet.relay import relayed
from tests.netem.namespaces import need_namespaces

LINK = PacketLink(5e6, 0.01)
PAIR = PacketPair(LINK, LINK)


@asynccontextmanager
async def counting_server() -> AsyncIterator[int]:
    """Answers each PUT with the length of its body, and each GET with as many bytes as asked."""

    async def put(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    async def get(request: web.Request) -> web.Response:
        return web.Response(body=bytes(int(request.query["bytes"])))

    app = web.Application(client_max_size=1 << 24)
    app.add_routes([web.put("/", put), web.get("/", get)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def test_http_crosses_the_link_whatever_host_its_url_names() -> None:
    need_namespaces()
    meter = FidelityMeter()
    loop = asyncio.get_running_loop()
    async with counting_server() as port:
        net = PacketNet([PAIR, PAIR], PacketSettings())
        access = PacketAccess(net, 1, meter)
        async with (
            open_net(net, "127.0.0.1", port),
            aiohttp.ClientSession(connector=access.connector(limit=0)) as session,
        ):
            start_s = loop.time()
            async with session.put("http://coordinator.test:7/", data=bytes(100_000)) as answer:
                assert await answer.text() == "100000"
            assert loop.time() - start_s >= 0.04 + 100_000 * 1514 / 1448 / 5e6
            async with session.get("http://127.0.0.1:9/", params={"bytes": "50000"}) as answer:
                assert len(await answer.read()) == 50_000
            up, down = access.bytes_passed()
            assert up > 104_500
            assert down > 52_200
            assert net.gauges.passed(0) == (0, 0)
            access.close()
    assert meter.measured().lateness_ms_max is not None


async def test_a_device_that_goes_resets_its_connections_and_may_come_back() -> None:
    need_namespaces()
    async with counting_server() as port:
        net = PacketNet([PacketPair(LINK, PacketLink(1e5, 0.01))], PacketSettings())
        access = PacketAccess(net, 0, FidelityMeter())
        async with (
            open_net(net, "127.0.0.1", port),
            aiohttp.ClientSession(connector=access.connector(limit=0)) as session,
        ):
            body = {"bytes": "3000000"}  # half a minute
            async with session.get("http://coordinator.test/", params=body) as answer:
                await answer.content.readany()
                access.hang_up()
                with pytest.raises(aiohttp.ClientError):
                    await answer.read()
            async with session.put("http://coordinator.test/", data=b"back") as answer:
                assert await answer.text() == "4"


async def test_whoever_opened_links_hears_of_their_loss() -> None:
    need_namespaces()
    net = PacketNet([PAIR], PacketSettings())
    access = PacketAccess(net, 0, FidelityMeter())

    async def use() -> None:
        async with open_net(net, "127.0.0.1", 1):
            os.kill(net.pid, signal.SIGKILL)
            await asyncio.Event().wait()

    with pytest.raises(LinksLost, match="died"):
        await use()
    access.close()


@asynccontextmanager
async def relay_to(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        async with relayed([listener], "127.0.0.1", port):
            where = listener.getsockname()
            reader, writer = await asyncio.open_connection(*where)
            yield reader, writer
            writer.close()


async def test_a_relay_keeps_half_closed_connections_half_open() -> None:
    async def echo_at_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        writer.close()

    server = await asyncio.start_server(echo_at_the_end, "127.0.0.1", 0)
    body = os.urandom(3_000_000)
    async with relay_to(server.sockets[0].getsockname()[1]) as (reader, writer):
        writer.write(body)
        writer.write_eof()
        assert await reader.read() == body
    server.close()


async def test_a_relay_breaks_off_what_breaks_off_beyond() -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(5)
        writer.transport.abort()

    server = await asyncio.start_server(break_off, "127.0.0.1", 0)
    async with relay_to(server.sockets[0].getsockname()[1]) as (reader, writer):
        writer.write(b"hello")
        assert await reader.read() == b""
    server.close()


async def test_a_relay_to_nowhere_breaks_off() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        async with relay_to(nobody.getsockname()[1]) as (reader, _):
            assert await reader.read() == b""


def test_who_has_read_an_answer_may_be_gone_at_once() -> None:
    """Nothing is sent after the last byte: that would break on a line that is no longer there."""
    mine, theirs = socket.socketpair()
    reader = Control(theirs)

    class Leaving(socket.socket):
        """Its other end is closed as soon as everything has been sent."""

        def sendmsg(self, *given: Any) -> int:  # noqa: ANN401
            sent = super().sendmsg(*given)
            reader.receive()
            reader.close()
            return sent

    with Leaving(fileno=mine.detach()) as line:
        Control(line).send({"error": "not allowed"})
    assert theirs.fileno() == -1
