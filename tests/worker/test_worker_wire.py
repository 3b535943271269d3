"""A worker's side of the wire against a coordinator that misbehaves: transfers, telemetry, the
control channel. Faults end in exceptions of their own, never in half a model."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgpack
import numpy as np
import pytest
from aiohttp import web

from protocol import codec
from protocol import messages as m
from protocol.checksum import UploadChecksum
from protocol.errors import ProtocolError
from protocol.identity import Identity
from protocol.pattern import PatternName
from protocol.telemetry import Event, Span
from worker.channel import Channel, ChannelLost, JoinRefused, LeftBehind, RunFinished
from worker.reporting import BATCH, RemoteRecorder
from worker.transfer import TransferFailed, Transfers

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LIMIT_S = 30.0


@asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """A server that answers everything with the handler."""
    app = web.Application(client_max_size=1 << 24)
    app.router.add_route("*", "/{anything:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(LIMIT_S):
            yield session, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


# --- transfers

NAMED = PatternName(7, bytes(32), 2)
MODEL = np.arange(1000, dtype="<f4")


async def model_of(body: bytes, status: int = 200) -> object:
    async def handler(request: web.Request) -> web.Response:
        assert request.path == "/v1/model/3"
        assert request.headers["Authorization"] == "Bearer 1.secret"
        return web.Response(body=body, status=status)

    async with answering(handler) as (session, url):
        return await Transfers(session, url, "1.secret").download_model(3, MODEL.size)


async def test_a_whole_model_arrives_to_the_bit() -> None:
    model = await model_of(MODEL.tobytes())
    assert isinstance(model, np.ndarray)
    assert model.dtype == np.float32
    np.testing.assert_array_equal(model, MODEL)


@pytest.mark.parametrize(
    ("body", "status", "line"),
    [
        (MODEL.tobytes()[:-1], 200, "model: 3999 bytes, not 4000"),
        (MODEL.tobytes() + b"x", 200, "model: 4001 bytes, not 4000"),
        (b"", 200, "model: 0 bytes, not 4000"),
        (b"not now", 409, "the coordinator answered 409: not now"),
        (b"y" * 1000, 500, "the coordinator answered 500: " + "y" * 200),
    ],
)
async def test_a_model_that_is_none(body: bytes, status: int, line: str) -> None:
    with pytest.raises(TransferFailed) as raised:
        await model_of(body, status)
    assert str(raised.value) == line


async def test_a_body_that_swells_is_no_model() -> None:
    """Its declared length is the compressed one, and right."""
    packed = next(
        body for n in range(1000) if len(body := zlib.compress(bytes(10_000 + n))) % 4 == 0
    )

    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=packed, headers={"Content-Encoding": "deflate"})

    async with answering(handler) as (session, url):
        with pytest.raises(TransferFailed, match=r"^model: encoded$"):
            await Transfers(session, url, "1.secret").download_model(3, len(packed) // 4)


@pytest.mark.parametrize(
    ("headers", "body", "line"),
    [
        ({}, bytes(8), "model: under another pattern than the plan's"),
        ({"Pattern": "2-" + bytes(32).hex()}, bytes(8), "model: under another pattern"),
        ({"Pattern": NAMED.text}, bytes(8), "model: no length of a pattern"),
        ({"Pattern": NAMED.text, "Pattern-Bytes": "-1"}, bytes(8), "model: no length of a pattern"),
        ({"Pattern": NAMED.text, "Pattern-Bytes": "21"}, bytes(29), "model: no length of a"),
        ({"Pattern": NAMED.text, "Pattern-Bytes": "20"}, bytes(8), "model: 8 bytes, not 28"),
    ],
)
async def test_survivors_under_another_pattern_than_the_plans(
    headers: dict[str, str], body: bytes, line: str
) -> None:
    async def handler(request: web.Request) -> web.Response:
        assert "Pattern-Held" not in request.headers
        return web.Response(body=body, headers=headers)

    async with answering(handler) as (session, url):
        with pytest.raises(TransferFailed, match=line):
            await Transfers(session, url, "1.secret").download_surviving(3, NAMED, ("", 20))


async def test_survivors_and_what_tells_of_them() -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.headers["Pattern-Held"] == "6-aa"
        told = {"Pattern": NAMED.text, "Pattern-Bytes": "3"}
        return web.Response(body=MODEL[:2].tobytes() + b"abc", headers=told)

    async with answering(handler) as (session, url):
        transfers = Transfers(session, url, "1.secret")
        values, tail = await transfers.download_surviving(3, NAMED, ("6-aa", 20))
    np.testing.assert_array_equal(values, MODEL[:2])
    assert tail == b"abc"


async def test_a_download_that_breaks_off() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 4 * MODEL.size
        await response.prepare(request)
        await response.write(bytes(100))
        assert request.transport is not None
        request.transport.close()
        return response

    async with answering(handler) as (session, url):
        with pytest.raises(TransferFailed, match=r"^download broke off: C\w+Error$"):
            await Transfers(session, url, "1.secret").download_model(3, MODEL.size)


async def test_a_coordinator_that_is_not_there() -> None:
    async with answering(refuse) as (session, url):
        pass
    async with aiohttp.ClientSession() as session:
        transfers = Transfers(session, url, "1.secret")
        with pytest.raises(TransferFailed, match="download broke off"):
            await transfers.download_model(1, 10)
        with pytest.raises(TransferFailed, match="upload broke off"):
            await transfers.upload(1, 1, [memoryview(b"x")], 1)


async def refuse(request: web.Request) -> web.Response:
    raise web.HTTPConflict(text="that round is not being played")


async def test_an_upload_is_its_words_and_their_checksum() -> None:
    heard: list[tuple[str, int | None, bytes]] = []

    async def handler(request: web.Request) -> web.Response:
        heard.append((request.path, request.content_length, await request.read()))
        return web.Response()

    body = bytes(range(256)) * 300
    pieces = (memoryview(body)[i : i + 1000] for i in range(0, len(body), 1000))
    async with answering(handler) as (session, url):
        await Transfers(session, url, "1.secret").upload(2, 5, pieces, len(body))
    checksum = UploadChecksum("1.secret", (2, 5))
    checksum.update(body)
    whole = body + checksum.digest()
    assert heard == [("/v1/vector/2/5", len(whole), whole)]


async def test_an_upload_that_is_refused() -> None:
    async with answering(refuse) as (session, url):
        with pytest.raises(TransferFailed, match=r"answered 409: that round is not being played$"):
            await Transfers(session, url, "1.secret").upload(1, 1, [memoryview(b"x")], 1)


# --- telemetry


class Intake:
    """Counts what arrives; answers with `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.batches: list[dict[str, Any]] = []
        self.credentials: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        assert request.path == "/v1/telemetry"
        body = msgpack.unpackb(await request.read())
        if self.status == 200:
            self.batches.append(body)
            self.credentials.append(request.headers["Authorization"])
        return web.Response(status=self.status)


SPAN = Span("fit", 1, None, 1.0, 2.0, 3, 4, {"loss": 0.5})
EVENT = Event("fidelity", 0, None, 2.5, {"late_jobs": 0})


async def test_telemetry_waits_until_the_worker_has_a_credential() -> None:
    intake = Intake()
    async with answering(intake.answer) as (session, url):
        recorder = RemoteRecorder(url, lambda: 7.0)
        recorder.record(SPAN)
        await recorder.flush(session)
        assert intake.batches == []
        recorder.identify("1.secret")
        recorder.record(EVENT)
        await recorder.flush(session)
        await recorder.flush(session)
    (batch,) = intake.batches
    assert intake.credentials == ["Bearer 1.secret"]
    assert batch["sent_s"] == 7.0
    assert [span["phase"] for span in batch["spans"]] == ["fit"]
    assert [event["kind"] for event in batch["events"]] == ["fidelity"]
    assert all("client" not in item for item in (*batch["spans"], *batch["events"]))


async def test_what_cannot_be_delivered_is_kept() -> None:
    intake = Intake()
    async with answering(intake.answer) as (session, url):
        recorder = RemoteRecorder(url, lambda: 7.0)
        recorder.identify("1.secret")
        recorder.record(SPAN)
        for intake.status in (500, 401, 413):
            await recorder.flush(session)
        assert intake.batches == []
        intake.status = 200
        await recorder.flush(session)
        assert len(intake.batches) == 1
        recorder.record(EVENT)
    async with aiohttp.ClientSession() as session:
        await recorder.flush(session)  # nobody is there: nothing is raised
    assert len(intake.batches) == 1


async def test_much_telemetry_goes_in_batches_in_order() -> None:
    intake = Intake()
    async with answering(intake.answer) as (session, url):
        recorder = RemoteRecorder(url, lambda: 7.0)
        recorder.identify("1.secret")
        for number in range(2 * BATCH + 1):
            recorder.record(Event("one", number, None, 0.0))
        await recorder.flush(session)
    assert [len(batch["events"]) for batch in intake.batches] == [BATCH, BATCH, 1]
    rounds = [event["round"] for batch in intake.batches for event in batch["events"]]
    assert rounds == list(range(2 * BATCH + 1))


async def test_a_batch_under_way_when_the_worker_ends_is_sent_once() -> None:
    arrived, answer = asyncio.Event(), asyncio.Event()
    heard: list[int] = []

    async def handler(request: web.Request) -> web.Response:
        heard.append(len(msgpack.unpackb(await request.read())["events"]))
        arrived.set()
        await answer.wait()
        return web.Response()

    async with answering(handler) as (session, url):
        recorder = RemoteRecorder(url, lambda: 7.0)
        recorder.identify("1.secret")
        recorder.record(EVENT)
        sending = asyncio.create_task(recorder.run(session))
        await arrived.wait()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        recorder.record(EVENT)
        recorder.record(EVENT)
        last = asyncio.create_task(recorder.flush(session))
        answer.set()
        await last
    assert heard == [1, 2]


# --- the control channel

Saying = list[bytes | str | m.Message | None]
"""What the coordinator says: messages, raw frames, text; None: it closes."""


@asynccontextmanager
async def channel_to(saying: Saying) -> AsyncIterator[Channel]:
    async def handler(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for each in saying:
            if each is None:
                await socket.close()
            elif isinstance(each, str):
                await socket.send_str(each)
            else:
                await socket.send_bytes(each if isinstance(each, bytes) else codec.encode(each))
        async for _ in socket:
            pass
        return socket

    async with answering(handler) as (session, url):
        channel = await Channel.open(session, url)
        try:
            yield channel
        finally:
            await channel.close()


ENDINGS: list[tuple[bytes | str | m.Message | None, type[Exception], str]] = [
    (m.Refused("the fleet is full"), JoinRefused, "the fleet is full"),
    (m.Finish("all rounds played"), RunFinished, "all rounds played"),
    (b"\xc1", ProtocolError, "message: not one well-formed msgpack value within bounds"),
    ("text", ProtocolError, "the coordinator sent something that is not a message"),
    (None, ChannelLost, "the coordinator closed the channel (code 1000)"),
    (m.RoundEnd(4), LeftBehind, "round 4 goes on without this client"),
    (m.Plan(5, 1, (0, 1), "plain", 0), LeftBehind, "round 5 goes on without this client"),
    (m.Ready(1), ProtocolError, "expected Roster, got Ready"),
]


@pytest.mark.parametrize(("said", "error", "line"), ENDINGS)
async def test_what_comes_instead_of_what_is_due(
    said: bytes | str | m.Message | None, error: type[Exception], line: str
) -> None:
    async with channel_to([said]) as channel:
        with pytest.raises(error) as raised:
            await channel.expect(m.Roster)
        assert str(raised.value) == line


async def test_a_conversation_that_ended_stays_ended() -> None:
    async with channel_to([m.RoundEnd(1), None]) as channel:
        assert await channel.receive() == m.RoundEnd(1)
        for _ in range(3):
            with pytest.raises(ChannelLost):
                await channel.receive()


async def test_joining_proves_the_identity() -> None:
    identity = Identity(b"\x05" * 32)
    challenge = m.Challenge(b"s" * 16, b"n" * 32)
    async with channel_to([challenge, m.Welcome(3, "3.secret", {})]) as channel:
        joined = await channel.join("token", "a phone", identity, 3)
        assert joined.session == b"s" * 16
        assert joined.welcome.credential == "3.secret"


async def test_a_coordinator_that_cannot_be_reached_is_named() -> None:
    async with aiohttp.ClientSession() as session:
        for url in ("http://127.0.0.1:1", "http://127.0.0.1:99999", "http://"):
            with pytest.raises(ChannelLost, match=f"^cannot reach the coordinator at {url}: "):
                await Channel.open(session, url)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (m.RoundEnd(4), LeftBehind),
        (m.Plan(5, 1, (0, 1), "plain", 0), LeftBehind),
        (m.Finish("enough"), RunFinished),
        (m.Ready(1), ProtocolError),
        (None, ChannelLost),
    ],
)
async def test_work_is_cut_off_by_whatever_comes_while_nothing_is_due(
    said: m.Message | None, error: type[Exception]
) -> None:
    cut_off = asyncio.Event()

    async def training() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cut_off.set()

    async with channel_to([said]) as channel:
        with pytest.raises(error):
            await channel.unless_overtaken(training())
        assert cut_off.is_set()


async def test_work_that_is_not_overtaken_gives_its_result_and_loses_no_message() -> None:
    released = asyncio.Event()

    async def training() -> str:
        released.set()
        return "trained"

    async with channel_to([m.RoundEnd(1), m.RoundEnd(2), None]) as channel:
        assert await channel.receive() == m.RoundEnd(1)
        assert await channel.receive() == m.RoundEnd(2)
        with pytest.raises(ChannelLost):
            await channel.receive()
    async with channel_to([]) as channel:
        assert await channel.unless_overtaken(training()) == "trained"


async def test_work_that_fails_does_so_with_its_own_error() -> None:
    async def training() -> None:
        raise ZeroDivisionError

    async with channel_to([]) as channel:
        with pytest.raises(ZeroDivisionError):
            await channel.unless_overtaken(training())
