"""aiohttp through shaped links: who does not read holds back, and every end is a clean one.

Times are only asserted downwards (never faster than the link), so that a loaded machine passes.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from netem.link import LinkParameters
from netem.pipe import QUEUE_S
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


async def test_an_upload_cannot_run_ahead_of_the_link() -> None:
    produced = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal produced
        for _ in range(80):
            produced += 20_000
            yield bytes(20_000)

    link = LinkParameters(2e6, 0.01)
    ahead = []
    async with serving() as server, device(link) as links, session(links) as client:
        upload = asyncio.create_task(client.put(server.url, data=body()))
        while not upload.done():
            ahead.append(produced - links.up.passed.payload)
            await asyncio.sleep(0.002)
        (await upload).release()
    in_flight = link.bytes_per_s * (link.delay_s + link.quantum_s)
    limit_bytes = link.bytes_per_s * QUEUE_S
    # One more piece is made while the last is being written; 30 ms of lateness on top.
    assert limit_bytes / 2 < max(ahead) <= limit_bytes + in_flight + 40_000 + 60_000


async def test_a_server_that_does_not_read_stops_the_upload() -> None:
    """Nothing hides in the kernel for long: what was taken is bounded by buffers, not by size."""
    total = 20_000_000
    async with serving() as server, device() as links, session(links) as client:
        server.reading.clear()
        upload = asyncio.create_task(put(client, server.url, bytes(total)))
        passed = -1
        while links.up.passed.payload != passed:
            passed = links.up.passed.payload
            await asyncio.sleep(0.2)
        assert 0 < passed < total * 0.8
        server.reading.set()
        assert await upload == str(total)


async def test_a_reader_that_does_not_read_stops_the_download() -> None:
    total = 20_000_000
    async with (
        serving() as server,
        device() as links,
        session(links) as client,
        client.get(f"{server.url}?bytes={total}") as response,
    ):
        await response.content.readany()
        passed = -1
        while links.down.passed.payload != passed:
            passed = links.down.passed.payload
            await asyncio.sleep(0.2)
        assert passed <= 8 * links.down.queue_limit_bytes
        rest = await response.read()
        assert len(rest) > total * 0.9


async def test_a_cancelled_upload_ends_at_both_sides() -> None:
    link = LinkParameters(1e6, 0.01)
    async with serving() as server, device(link) as links:
        async with session(links) as client:
            upload = asyncio.create_task(put(client, server.url, content(5_000_000)))
            await server.begun.wait()
            upload.cancel()
            with pytest.raises(asyncio.CancelledError):
                await upload
        await asyncio.wait_for(server.read_failed.wait(), timeout=10)
        assert not links.connections
    await no_task_is_left()


async def test_closing_the_links_under_a_transfer_fails_it() -> None:
    link = LinkParameters(1e6, 0.01)
    async with serving() as server, device(link) as links, session(links) as client:
        upload = asyncio.create_task(put(client, server.url, content(5_000_000)))
        await server.begun.wait()
        links.close()
        with pytest.raises(aiohttp.ClientError):
            await asyncio.wait_for(upload, timeout=10)
    await no_task_is_left()


async def test_a_server_that_hangs_up_midway_is_an_error_after_what_it_sent() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(30_000))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        device() as links,
        session(links) as client,
        client.get(f"http://127.0.0.1:{port}/") as response,
    ):
        assert len(await response.content.readexactly(30_000)) == 30_000
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    server.close()
    await server.wait_closed()


async def test_a_refused_connection_is_refused_after_a_round_trip() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    loop = asyncio.get_running_loop()
    async with device(LinkParameters(1e6, 0.05)) as links, session(links) as client:
        start_s = loop.time()
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.get(f"http://127.0.0.1:{port}/")
        assert loop.time() - start_s >= 0.1


async def test_timeouts_hold_while_connecting() -> None:
    slow = LinkParameters(1e6, 30.0)
    async with serving() as server, device(slow) as links, session(links) as client:
        with pytest.raises(TimeoutError):
            await client.get(server.url, timeout=aiohttp.ClientTimeout(total=0.05))
        assert not links.connections
        assert not server.peers


async def test_closed_links_refuse_as_a_network_that_is_gone() -> None:
    async with serving() as server, device() as links, session(links) as client:
        links.close()
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await client.get(server.url)
        assert isinstance(caught.value.__cause__, ConnectionAbortedError)
