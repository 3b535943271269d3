"""A worker's transfers with a coordinator that misbehaves. Faults end in exceptions of their own,
never in half a model."""

import zlib

import aiohttp
import numpy as np
import pytest
from aiohttp import web

from protocol.checksum import UploadChecksum
from protocol.pattern import PatternName
from tests.worker.answering import answering
from worker.transfer import TransferFailed, Transfers

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
