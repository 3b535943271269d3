"""aiohttp through shaped links, over real sockets: content, counts, bounds and clean ends.

Times are only asserted downwards (never faster than the link), so that a loaded machine passes.
"""

import asyncio
import gc
import inspect
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from netem.connector import RECEIVE_BUFFER_BYTES, ShapedConnector, connect
from netem.device import DeviceLinks, LinkPair
from netem.link import LinkParameters, wire_bytes
from netem.pipe import QUEUE_S
from netem.shaper import ShapedTransport
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


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    before = len(os.listdir("/proc/self/fd"))
    yield
    gc.collect()
    # The loop of pytest-asyncio is still open here as it was before.
    assert len(os.listdir("/proc/self/fd")) <= before


async def no_task_is_left() -> None:
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


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


@pytest.fixture(scope="module")
def contexts(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[], tuple[ssl.SSLContext, ssl.SSLContext]]:
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    self_signed(certificate, key)

    def make() -> tuple[ssl.SSLContext, ssl.SSLContext]:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(certificate, key)
        return server, ssl.create_default_context(cafile=str(certificate))

    return make


def self_signed(certificate: Path, key: Path) -> None:
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name)
        .public_key(secret.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(secret, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        secret.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


async def test_https_is_shaped_above_tls(
    contexts: Callable[[], tuple[ssl.SSLContext, ssl.SSLContext]],
) -> None:
    theirs, ours = contexts()
    data = content(300_000)
    link = LinkParameters(5e6, 0.02)
    loop = asyncio.get_running_loop()
    async with serving(theirs) as server, device(link) as links, session(links, ours) as client:
        start_s = loop.time()
        assert await put(client, server.url, data) == str(len(data))
        # TCP and TLS cost a round trip each before the request's own.
        assert loop.time() - start_s >= wire_bytes(len(data)) / 5e6 + 6 * 0.02
        async with client.get(f"{server.url}?bytes=300000") as response:
            assert await response.read() == data
        async with client.ws_connect(f"{server.url}echo") as messages:
            await messages.send_bytes(data)
            assert await messages.receive_bytes() == data
    await no_task_is_left()


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
