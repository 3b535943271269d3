"""One client of four uploads something else than its vector, or not at all: it is lost with a
reason, or refused without harm, and the others' sum is right to the last bit."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from protocol import messages as m
from tests.coordinator.misbehaving import played_with, reasons
from tests.coordinator.rawclient import LIMIT_S, RawClient, Stage


def altered(body: bytes) -> bytes:
    return bytes([body[0] ^ 1]) + body[1:]


def wrong_checksum(body: bytes) -> bytes:
    return body[:-1] + bytes([body[-1] ^ 1])


def bomb(body: bytes) -> bytes:
    """Of the right length, and far more once inflated."""
    packed = zlib.compress(bytes(50 * len(body)), 9)
    return packed + bytes(len(body) - len(packed))


REJECTED = [
    # what is done to a right body, headers, the reason's beginning
    (altered, {}, "the checksum does not match the vector"),
    (wrong_checksum, {}, "the checksum does not match the vector"),
    (lambda body: body[:-1], {}, "declares"),
    (lambda body: body + b"\0", {}, "declares"),
    (lambda body: b"", {}, "declares 0 bytes"),
    (lambda body: body[:-36] + body[-16:], {}, "declares"),
    (bomb, {"Content-Encoding": "deflate"}, "is encoded"),
]


@pytest.mark.parametrize(("change", "headers", "reason"), REJECTED)
async def test_a_body_that_is_no_vector_loses_its_client(
    tmp_path: Path, change: Callable[[bytes], bytes], headers: dict[str, str], reason: str
) -> None:
    async def script(raw: RawClient, stage: Stage) -> None:
        await raw.open()
        body = raw.body(stage.study)
        status, text = await raw.put(change(body), headers=headers)
        assert status == 400
        assert text.startswith(reason)
        assert (await raw.put(body))[0] == 409

    stage = await played_with(tmp_path, script, [0, 1, 2])
    ((client, lost_for),) = reasons(stage, "client_lost")
    assert client == 3
    assert lost_for.startswith(f"upload: {reason}")


async def test_a_body_of_undeclared_length_is_rejected(tmp_path: Path) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield bytes(1000)

    async def script(raw: RawClient, stage: Stage) -> None:
        await raw.open()
        status, text = await raw.put(pieces())
        assert (status, text.partition(" bytes")[0]) == (400, "declares None")

    await played_with(tmp_path, script, [0, 1, 2])


async def test_an_upload_for_another_round_or_attempt_is_refused_and_changes_nothing(
    tmp_path: Path,
) -> None:
    async def script(raw: RawClient, stage: Stage) -> None:
        await raw.open()
        body = raw.body(stage.study)
        for place in ("0/1", "2/1", "1/2", "1/0", "999999999/1"):
            assert await raw.put(body, place) == (409, "that round is not being played"), place
        for place in ("x/1", "1/-1", "1/1.0", "9999999999/1", "²/1"):
            status, _ = await raw.put(body, place)
            assert status == 400, place
        other = "the vector is of other coordinates than this round's"
        assert await raw.put(body, headers={"Pattern": "1-00"}) == (409, other)
        assert await raw.put(body) == (200, "")
        await raw.unmask()

    stage = await played_with(tmp_path, script, [0, 1, 2, 3])
    assert reasons(stage, "client_lost") == []


async def test_a_vector_that_is_not_due_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async def script(raw: RawClient, stage: Stage) -> None:
        plan = await raw.receive(m.Plan)
        raw.round = plan.round
        refused = (409, "no vector is due from this client")
        assert await raw.put(bytes(1000)) == refused
        await raw.open(plan)
        body = raw.body(stage.study)
        assert await raw.put(body) == (200, "")
        assert (await raw.put(body))[0] == 409
        await raw.unmask()

    await played_with(tmp_path, script, [0, 1, 2, 3])


async def test_an_upload_that_stops_in_the_middle_loses_its_client(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def half(body: bytes) -> AsyncIterator[bytes]:
        yield body[: len(body) // 2]
        async with asyncio.timeout(LIMIT_S):
            await ended.wait()

    async def script(raw: RawClient, stage: Stage) -> None:
        await raw.open()
        body = raw.body(stage.study)
        status, text = await raw.put(half(body), headers={"Content-Length": str(len(body))})
        assert (status, text) == (400, "no byte for 0.3 s")
        ended.set()

    stage = await played_with(tmp_path, script, [0, 1, 2], stall_s=0.3)
    assert reasons(stage, "client_lost") == [(3, "upload: no byte for 0.3 s")]
    assert stage.coordinator.status.uploads == {}


async def test_a_connection_that_breaks_in_an_upload_loses_its_client(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(raw: RawClient, stage: Stage) -> None:
        await raw.open()
        body = raw.body(stage.study)
        _, writer = await raw.request("PUT", "/v1/vector/1/1", len(body))
        writer.write(body[:5000])
        writer.close()
        await writer.wait_closed()

    stage = await played_with(tmp_path, script, [0, 1, 2])
    assert reasons(stage, "client_lost") == [(3, "upload: the connection broke")]
    assert [record.getMessage() for record in caplog.records] == []


async def test_an_upload_under_way_at_the_deadline_is_cut_off(tmp_path: Path) -> None:
    holding = asyncio.Event()

    async def half(body: bytes) -> AsyncIterator[bytes]:
        yield body[: len(body) // 2]
        await holding.wait()

    async def script(raw: RawClient, stage: Stage) -> None:
        await raw.open()
        body = raw.body(stage.study)
        status, text = await raw.put(half(body), headers={"Content-Length": str(len(body))})
        assert (status, text) == (409, "the round has gone on without this client")

    settings = {"strategy": "deadline", "warmup_rounds": 0, "deadline_s": 1e-6}
    stage = await played_with(tmp_path, script, [0, 1, 2], straggler_share=0.25, **settings)
    reason = "later than the round's deadline of 1e-06 s"
    assert reasons(stage, "client_lost") == [(3, reason)]
