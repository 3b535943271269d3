"""Whoever has no business here is refused with a reason, and nothing is left behind."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import WSMessage, WSMsgType

from coordinator.admission import Admission
from coordinator.registry import Registry
from protocol import codec
from protocol import messages as m
from protocol.identity import Identity
from tests.coordinator.rawclient import LIMIT_S, RawClient, Stage, staged

Script = Callable[[RawClient], Awaitable[None]]


async def wrong_token(raw: RawClient) -> None:
    await raw.send(raw.hello(token="a token for testz"))


async def empty_token(raw: RawClient) -> None:
    await raw.send(raw.hello(token=""))


async def wrong_version(raw: RawClient) -> None:
    await raw.send(replace(raw.hello(), version=99))


async def anothers_key(raw: RawClient) -> None:
    await raw.send(raw.hello())
    challenge = await raw.receive(m.Challenge)
    await raw.send(Identity(b"\x09" * 32).prove(challenge))


async def anothers_challenge(raw: RawClient) -> None:
    await raw.send(raw.hello())
    challenge = await raw.receive(m.Challenge)
    await raw.send(raw.identity.prove(replace(challenge, nonce=bytes(32))))


async def identity_of_low_order(raw: RawClient) -> None:
    await raw.send(replace(raw.hello(), identity=bytes(32)))
    await raw.receive(m.Challenge)
    await raw.send(m.Proof(bytes(64)))


async def outside_the_fleet(raw: RawClient) -> None:
    await _prove(raw, 2)


async def far_outside_the_fleet(raw: RawClient) -> None:
    await _prove(raw, 2**32 - 1)


async def garbage(raw: RawClient) -> None:
    await raw.socket.send_bytes(b"\xc1\xff\x00 not msgpack")


async def nothing_at_all(raw: RawClient) -> None:
    await raw.socket.send_bytes(b"")


async def text(raw: RawClient) -> None:
    await raw.socket.send_str("hello")


async def ready_for_hello(raw: RawClient) -> None:
    await raw.send(m.Ready(1))


async def hello_for_proof(raw: RawClient) -> None:
    await raw.send(raw.hello())
    await raw.send(raw.hello())


async def _prove(raw: RawClient, member: int | None) -> None:
    await raw.send(raw.hello(member))
    await raw.send(raw.identity.prove(await raw.receive(m.Challenge)))


REFUSED = [
    (wrong_token, "wrong token"),
    (empty_token, "wrong token"),
    (wrong_version, f"protocol version 99; this coordinator speaks {m.VERSION}"),
    (anothers_key, "the signature does not match"),
    (anothers_challenge, "the signature does not match"),
    (identity_of_low_order, "the signature does not match"),
    (outside_the_fleet, "the fleet has 2 places and this one is not among them"),
    (far_outside_the_fleet, "the fleet has 2 places and this one is not among them"),
    (garbage, "message: not one well-formed msgpack value within bounds"),
    (nothing_at_all, "message: not one well-formed msgpack value within bounds"),
    (text, "the connection closed during the handshake"),
    (ready_for_hello, "expected Hello, got Ready"),
    (hello_for_proof, "expected Proof, got Hello"),
]


async def refusal(raw: RawClient) -> str:
    """The reason of the refusal that ends this conversation."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            frame = await raw.socket.receive()
            assert frame.type is WSMsgType.BINARY
            message = codec.decode(frame.data)
            if isinstance(message, m.Refused):
                await raw.closed()
                return message.reason


@pytest.mark.parametrize(("script", "reason"), REFUSED)
async def test_refused(
    tmp_path: Path, script: Script, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with staged(tmp_path, clients=2, free=(0, 1), threshold=2) as stage:
        raw = await stage.raw().connect()
        await script(raw)
        assert await refusal(raw) == reason
        assert list(stage.coordinator.registry) == []
        assert stage.scene.items == []
    assert caplog.records == []


async def test_an_oversized_hello_ends_the_connection(tmp_path: Path) -> None:
    async with staged(tmp_path, clients=2, free=(0, 1), threshold=2) as stage:
        raw = await stage.raw().connect()
        with suppress(ConnectionError):  # it may be cut off while it still sends
            await raw.socket.send_bytes(bytes(5 * 2**20))
        await raw.closed()
        assert list(stage.coordinator.registry) == []


@pytest.mark.parametrize("taken_by_request", [True, False])
async def test_a_place_has_one_owner(tmp_path: Path, taken_by_request: bool) -> None:
    async with staged(tmp_path, clients=2, free=(0, 1), threshold=2) as stage:
        owner = await stage.raw(1).join(0 if taken_by_request else None)
        assert owner.welcome.client == 0
        other = await stage.raw(2).connect()
        await _prove(other, 0)
        assert await refusal(other) == "place 0 of the fleet is taken by another worker"
        await other.join(None)
        assert other.welcome.client == 1


async def test_a_place_left_before_it_was_ready_is_free_again(tmp_path: Path) -> None:
    async with staged(tmp_path, clients=2, free=(0, 1), threshold=2) as stage:
        first = await stage.raw(1).join(0)
        await first.socket.close()
        second = await stage.raw(2).join(0)
        assert second.welcome.client == 0


async def test_more_workers_than_places(tmp_path: Path) -> None:
    async with staged(tmp_path, clients=2, free=(0, 1), threshold=2) as stage:
        owners = [await stage.raw(seed).join() for seed in (1, 2)]
        assert [owner.welcome.client for owner in owners] == [0, 1]
        third = await stage.raw(3).connect()
        await _prove(third, None)
        assert await refusal(third) == "the fleet has 2 places and this one is not among them"


async def test_a_handshake_that_never_finishes(tmp_path: Path) -> None:
    async with staged(tmp_path, clients=2, free=(0, 1), threshold=2) as stage:
        stage.coordinator.admission = replace(stage.coordinator.admission, limit_s=0.1)
        silent = await stage.raw(1).connect()
        assert await refusal(silent) == "the handshake took too long"
        halfway = await stage.raw(2).connect()
        await halfway.send(halfway.hello())
        assert await refusal(halfway) == "the handshake took too long"


@pytest.mark.parametrize("after_hello", [False, True])
async def test_whoever_leaves_during_the_handshake_leaves_no_error(
    tmp_path: Path, after_hello: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    async with staged(tmp_path, clients=2, free=(0, 1), threshold=2) as stage:
        for seed in range(1, 6):
            raw = await stage.raw(seed).connect()
            if after_hello:
                await raw.send(raw.hello())
            response = raw.socket._response
            assert response.connection is not None
            assert response.connection.transport is not None
            response.connection.transport.abort()
        await assert_still_admits(stage)
    assert [record.getMessage() for record in caplog.records] == []


async def assert_still_admits(stage: Stage) -> None:
    late = await stage.raw(99).join()
    assert late.welcome.client in (0, 1)


class Leaving:
    """The coordinator's end of a connection on which a worker proves itself and then is gone."""

    def __init__(self, identity: Identity) -> None:
        self.said: list[m.Message] = [m.Hello(m.VERSION, "token", "phone", identity.public, 0)]
        self._identity = identity

    async def receive(self) -> WSMessage:
        return WSMessage(WSMsgType.BINARY, codec.encode(self.said.pop()), None)

    async def send_bytes(self, data: bytes) -> None:
        message = codec.decode(data)
        if isinstance(message, m.Welcome):
            raise ConnectionResetError
        assert isinstance(message, m.Challenge)
        self.said.append(self._identity.prove(message))


async def test_whoever_does_not_hear_its_welcome_holds_no_place() -> None:
    """It would begin anew with another key, and find the place taken by itself."""
    registry = Registry(1)
    admission = Admission("token", bytes(16), {}, LIMIT_S)
    for seed in (1, 2):
        gone = Leaving(Identity(bytes([seed]) * 32))
        assert await admission.admit(gone, registry) is None  # type: ignore[arg-type]
        assert list(registry) == []


async def test_whoever_came_back_in_vain_keeps_its_place() -> None:
    registry, identity = Registry(1), Identity(b"\x01" * 32)
    client, _ = registry.admit(identity.public, "phone", 0)
    admission = Admission("token", bytes(16), {}, LIMIT_S)
    assert await admission.admit(Leaving(identity), registry) is None  # type: ignore[arg-type]
    assert list(registry) == [client]
