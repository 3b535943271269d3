"""aiohttp through shaped links, over real sockets: content, counts and bounds.

Times are only asserted downwards (never faster than the link), so that a loaded machine passes.
"""

import asyncio
import inspect
import socket
from collections.abc import Iterator

import aiohttp
import pytest

from netem.connector import RECEIVE_BUFFER_BYTES, connect
from netem.link import LinkParameters, wire_bytes
from netem.shaper import ShapedTransport
from tests.netem.connector_rig import (
    content,
    device,
    leaks_nothing,
    no_task_is_left,
    put,
    serving,
    session,
)


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    yield from leaks_nothing()


def test_the_hook_of_aiohttp_is_what_it_was() -> None:
    """ShapedConnector overrides a private method: if this fails after an update of aiohttp, look
    at TCPConnector._create_direct_connection and adapt netem/connector.py."""
    hook = inspect.signature(aiohttp.TCPConnector._wrap_create_connection)
    assert inspect.iscoroutinefunction(aiohttp.TCPConnector._wrap_create_connection)
    kinds = {name: p.kind.name for name, p in hook.parameters.items()}
    assert kinds == {
        "self": "POSITIONAL_OR_KEYWORD",
        "args": "VAR_POSITIONAL",
        "addr_infos": "KEYWORD_ONLY",
        "req": "KEYWORD_ONLY",
        "timeout": "KEYWORD_ONLY",
        "client_error": "KEYWORD_ONLY",
        "kwargs": "VAR_KEYWORD",
    }
    direct = inspect.getsource(aiohttp.TCPConnector._create_direct_connection)
    call = direct[direct.index("self._wrap_create_connection(") :]
    assert call.split("(", 1)[1].lstrip().startswith("self._factory,")
    assert "ssl=sslcontext" in call
    assert "socket_factory=self._socket_factory" in inspect.getsource(
        aiohttp.TCPConnector._wrap_create_connection
    )


async def test_streams_both_ways_and_a_websocket_are_byte_exact() -> None:
    data = content(300_000)
    async with serving() as server, device() as links, session(links) as client:
        assert await put(client, server.url, data) == str(len(data))
        async with client.get(f"{server.url}?bytes=300000") as response:
            assert await response.read() == data
        async with client.ws_connect(f"{server.url}echo", heartbeat=0.4) as messages:
            for size in (0, 1, 70_000, 300_000):
                await messages.send_bytes(content(size))
                assert (await messages.receive_bytes()) == content(size)
            await asyncio.sleep(1)  # heartbeats go to and fro
            assert not messages.closed
            await messages.send_bytes(b"still here")
            assert await messages.receive_bytes() == b"still here"
        assert bytes(server.received) == data
    await no_task_is_left()


async def test_it_is_never_faster_than_the_link() -> None:
    link = LinkParameters(1e6, 0.03)
    loop = asyncio.get_running_loop()
    async with serving() as server, device(link) as links, session(links) as client:
        start_s = loop.time()
        await put(client, server.url, content(100_000))
        # Connection, request and answer: two round trips, one of them under the body.
        assert loop.time() - start_s >= wire_bytes(100_000) / 1e6 + 4 * 0.03
        start_s = loop.time()
        async with client.get(f"{server.url}?bytes=100000") as response:
            await response.read()
        assert loop.time() - start_s >= wire_bytes(100_000) / 1e6 + 2 * 0.03


async def test_bytes_are_counted_where_they_pass() -> None:
    async with serving() as server, device() as links, session(links) as client:
        await put(client, server.url, content(1_000_000))
        up, down = links.up.passed, links.down.passed
        assert 1_000_000 < up.payload < 1_000_500, "the body and a head"
        assert wire_bytes(1_000_000) < up.wire < wire_bytes(1_000_000) * 1.01
        assert 100 < down.payload < 500
        assert links.bytes_passed() == (up.wire, down.wire)


async def test_connections_are_kept_alive_and_reused() -> None:
    async with serving() as server, device() as links, session(links) as client:
        for _ in range(3):
            await put(client, server.url, content(1000))
        assert len(server.peers) == 1


async def test_sockets_are_small_and_prompt() -> None:
    async with (
        serving() as server,
        device() as links,
        session(links) as client,
        client.ws_connect(f"{server.url}echo") as messages,
    ):
        sock = messages.get_extra_info("socket")
        transport = next(iter(links.connections))
        assert isinstance(transport, ShapedTransport)
        assert messages.get_extra_info("peername")[1] == server.port
        # Linux keeps twice what was asked, for its own bookkeeping.
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) <= 2 * RECEIVE_BUFFER_BYTES
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_protocols_of_ones_own_can_be_shaped() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with device() as links:
        reader = asyncio.StreamReader()
        transport, _ = await connect(
            links,
            lambda: asyncio.StreamReaderProtocol(reader),
            "127.0.0.1",
            server.sockets[0].getsockname()[1],
        )
        transport.write(content(100_000))
        transport.write_eof()
        assert await reader.read() == content(100_000)
        transport.close()
    server.close()
    await server.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        async with device() as links:
            await connect(links, asyncio.Protocol, "127.0.0.1", 1)
