"""Telemetry beside the link: in order, each item once, and kept until it is delivered."""

import asyncio
from typing import Any

import aiohttp
import msgpack
from aiohttp import web

from protocol.telemetry import Event, Span
from tests.worker.answering import answering
from worker.reporting import BATCH, RemoteRecorder


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


async def test_what_is_refused_for_what_it_says_does_not_hold_up_the_rest() -> None:
    intake = Intake()
    async with answering(intake.answer) as (session, url):
        recorder = RemoteRecorder(url, lambda: 7.0)
        recorder.identify("1.secret")
        recorder.record(SPAN)
        intake.status = 400
        await recorder.flush(session)
        intake.status = 200
        recorder.record(EVENT)
        await recorder.flush(session)
    (batch,) = intake.batches
    assert (batch["spans"], len(batch["events"])) == ([], 1)


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
