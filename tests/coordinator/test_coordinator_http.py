"""The HTTP face beside the rounds: who may ask for anything, and what telemetry is taken."""

import asyncio
import io
import math
from pathlib import Path
from typing import Any

import msgpack
import pytest

from coordinator.intake import MAX_BATCH_BYTES
from protocol.telemetry import Event, Span
from tests.coordinator.rawclient import LIMIT_S, RawClient, staged

ROUTES = [("GET", "/v1/model/1"), ("PUT", "/v1/vector/1/1"), ("POST", "/v1/telemetry")]


def bad_credentials(credential: str) -> dict[str, bytes]:
    """By what is wrong with it: values of the Authorization header."""
    right = credential.encode()
    place, _, secret = right.partition(b".")
    return {
        "empty": b"",
        "no scheme": right,
        "another scheme": b"Basic " + right,
        "no secret": b"Bearer " + place + b".",
        "another's": b"Bearer 0." + secret,
        "nobody's": b"Bearer 77." + secret,
        "one letter off": b"Bearer " + right[:-1] + (b"A" if right[-1:] != b"A" else b"B"),
        "no number": b"Bearer x." + secret,
        "a long number": b"Bearer " + b"1" * 5000 + b"." + secret,
        "negative": b"Bearer -3." + secret,
        "text that is not ASCII": "Bearer 3.schlüssel".encode(),
        "bytes that are no text": b"Bearer 3.\xff\xfe",
    }


async def test_nothing_is_to_be_had_with_a_wrong_credential(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with staged(tmp_path, free=range(4)) as stage:
        await stage.raw(1).join(0)
        raw = await stage.raw(2).join(3)
        for method, path in ROUTES:
            for what, value in bad_credentials(raw.welcome.credential).items():
                reader, writer = await raw.request(method, path, 0, value)
                async with asyncio.timeout(LIMIT_S):
                    status = (await reader.readline()).split()[1]
                writer.close()
                assert status == b"401", (method, path, what)
    assert [record.getMessage() for record in caplog.records] == []


SPAN = {
    "phase": "fit",
    "round": 1,
    "start_s": 1.0,
    "end_s": 2.0,
    "bytes_up": 3,
    "bytes_down": 4,
    "notes": {"loss": 0.5},
}
EVENT = {"kind": "fidelity", "round": 0, "time_s": 2.5, "notes": {}}
BATCH = {"sent_s": 10.0, "spans": [SPAN], "events": [EVENT]}


def spans(**changes: object) -> dict[str, Any]:
    return BATCH | {"spans": [SPAN, SPAN | changes]}


def events(**changes: object) -> dict[str, Any]:
    return BATCH | {"events": [EVENT, EVENT | changes]}


def without(mapping: dict[str, Any], key: str) -> dict[str, Any]:
    return {k: v for k, v in mapping.items() if k != key}


def nested(depth: int) -> object:
    return {"a": nested(depth - 1)} if depth else 0


MALFORMED: list[object] = [
    None,
    7,
    "text",
    [],
    {},
    [BATCH],
    without(BATCH, "sent_s"),
    without(BATCH, "events"),
    BATCH | {"extra": 1},
    BATCH | {"sent_s": math.nan},
    BATCH | {"sent_s": math.inf},
    BATCH | {"sent_s": "10"},
    BATCH | {"sent_s": True},
    BATCH | {"sent_s": None},
    BATCH | {"spans": SPAN},
    BATCH | {"spans": "text"},
    BATCH | {"spans": [7]},
    BATCH | {"spans": [EVENT]},
    BATCH | {"spans": [without(SPAN, "notes")]},
    BATCH | {"events": [SPAN]},
    BATCH | {"events": [list(EVENT)]},
    spans(client=0),
    spans(phase=7),
    spans(phase=""),
    spans(phase="x" * 33),
    spans(round=1.5),
    spans(round=-1),
    spans(round=math.inf),
    spans(round="1"),
    spans(start_s=math.nan),
    spans(end_s=math.inf),
    spans(end_s=None),
    spans(bytes_up=-1),
    spans(bytes_up=1e300),
    spans(bytes_down=2**60),
    spans(notes=None),
    spans(notes=[["a", 1]]),
    spans(notes={"a": b"bytes"}),
    spans(notes={"a": math.nan}),
    spans(notes={"a": nested(20)}),
    spans(notes={"a": msgpack.Timestamp(0)}),
    events(kind=None),
    events(kind="x" * 33),
    events(time_s=math.nan),
    events(time_s="now"),
    events(round=True),
    events(notes={1: 2}),
]
BROKEN = [b"", b"\xc1", msgpack.packb(BATCH)[:-1], msgpack.packb(BATCH) + b"\0", b"\x91" * 5000]


async def post(raw: RawClient, body: bytes) -> int:
    url = f"{raw.url}/v1/telemetry"
    async with raw.http.post(url, data=io.BytesIO(body), headers=raw.headers) as response:
        return response.status


async def test_a_malformed_batch_is_refused_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with staged(tmp_path, free=range(4)) as stage:
        raw = await stage.raw().join(3)
        before = list(stage.scene.items)
        for body in [*map(msgpack.packb, MALFORMED), *BROKEN]:
            assert await post(raw, body) == 400, body
        assert stage.scene.items == before
        assert await post(raw, msgpack.packb(BATCH)) == 200
        assert len(stage.scene.items) == len(before) + 2
    assert [record.getMessage() for record in caplog.records] == []


async def test_a_batch_is_recorded_as_its_senders(tmp_path: Path) -> None:
    async with staged(tmp_path, free=range(4)) as stage:
        raw = await stage.raw().join(3)
        assert await post(raw, msgpack.packb(BATCH)) == 200
        span, event = stage.scene.items[-2:]
        assert isinstance(span, Span)
        assert isinstance(event, Event)
        assert (span.phase, span.round, span.client, span.notes) == ("fit", 1, 3, {"loss": 0.5})
        assert (event.kind, event.client) == ("fidelity", 3)
        assert span.end_s - span.start_s == pytest.approx(1.0)
        assert event.time_s - span.end_s == pytest.approx(0.5)


async def test_an_oversized_batch_is_refused(tmp_path: Path) -> None:
    async with staged(tmp_path, free=range(4)) as stage:
        raw = await stage.raw().join(3)
        before = list(stage.scene.items)
        assert await post(raw, bytes(MAX_BATCH_BYTES)) == 400  # as large as may be, but no batch
        assert await post(raw, bytes(MAX_BATCH_BYTES + 1)) == 413
        assert stage.scene.items == before


async def test_only_the_routes_that_there_are(tmp_path: Path) -> None:
    async with staged(tmp_path, free=range(4)) as stage:
        raw = await stage.raw().join(3)
        for path in ("/", "/v1/", "/v1/model/", "/v1/vector/1", "/v1/events"):
            async with raw.http.get(raw.url + path, headers=raw.headers) as response:
                assert response.status == 404, path
        async with raw.http.get(raw.url + "/v1/control") as response:
            assert response.status == 400  # no WebSocket
