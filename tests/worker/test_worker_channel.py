"""A worker's control channel to a coordinator that misbehaves: what comes when it is not due."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from protocol import codec
from protocol import messages as m
from protocol.errors import ProtocolError
from protocol.identity import Identity
from tests.worker.answering import answering
from worker.channel import Channel, ChannelLost, JoinRefused, LeftBehind, RunFinished

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
