"""What a worker does not let a coordinator do: sum in another way than it was welcomed to, or sum
the same training twice. The coordinator is played by hand."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from protocol import codec
from protocol.identity import Identity
from protocol.messages import (
    Challenge,
    Failed,
    Hello,
    Message,
    Plan,
    Proof,
    PublicKeys,
    Ready,
    Welcome,
)
from protocol.settings import ClientSettings
from protocol.telemetry import ListRecorder, Tracer
from tests.rounds.conftest import Clock, Scene, Trainer, small_study, undisturbed
from worker.channel import JoinRefused
from worker.client import Device
from worker.machine import RealMachine, in_thread
from worker.worker import Pins, Place, Worker

LIMIT_S = 20.0


@asynccontextmanager
async def playing(
    settings: ClientSettings, plans: list[Plan], pins: Pins | None = None
) -> AsyncIterator[list[Message]]:
    """A worker beside a coordinator that welcomes it with `settings` and then sends `plans`;
    yields what the worker said after it was ready, one message for each plan."""
    heard: list[Message] = []
    done = asyncio.Event()

    async def control(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)

        async def hear() -> Message:
            return codec.decode(await socket.receive_bytes())

        assert isinstance(await hear(), Hello)
        await socket.send_bytes(codec.encode(Challenge(bytes(16), bytes(32))))
        assert isinstance(await hear(), Proof)
        await socket.send_bytes(codec.encode(Welcome(0, "0.secret", settings.to_mapping())))
        assert isinstance(await hear(), Ready)
        for plan in plans:
            await socket.send_bytes(codec.encode(plan))
            heard.append(await hear())
        done.set()
        await socket.close()
        return socket

    app = web.Application()
    app.router.add_get("/v1/control", control)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with aiohttp.ClientSession() as session:
            working = asyncio.create_task(_work(url, session, pins))
            finished = asyncio.create_task(done.wait())
            async with asyncio.timeout(LIMIT_S):
                await asyncio.wait({working, finished}, return_when=asyncio.FIRST_COMPLETED)
            finished.cancel()
            if working.done():
                await working
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            yield heard
    finally:
        await runner.cleanup()


async def _work(url: str, session: aiohttp.ClientSession, pins: Pins | None) -> None:
    clock = Clock()
    trainer = Trainer(Scene(5), clock, 1.0, late=False)
    tracer = Tracer(ListRecorder(), clock, 0)
    device = Device(trainer, RealMachine(in_thread), tracer, undisturbed)
    place = Place(url, "token", "by hand", 0, pins=pins)
    await Worker(place, session, device, lambda _: None).run()


@pytest.fixture
def settings(tmp_path: Path) -> ClientSettings:
    return small_study(tmp_path, 5).client_settings


def plan(round_: int, attempt: int = 1, aggregation: str = "secagg") -> Plan:
    return Plan(round_, attempt, (0, 1, 2, 3, 4), aggregation, 0 if aggregation == "plain" else 4)


def reasons(heard: list[Message]) -> Mapping[int, str]:
    return {number: m.reason for number, m in enumerate(heard) if isinstance(m, Failed)}


async def test_a_plan_of_another_aggregation_is_refused(settings: ClientSettings) -> None:
    async with playing(settings, [plan(1, aggregation="plain")]) as heard:
        assert "plain aggregation, the run is not" in reasons(heard)[0]


PATTERNS = [
    # the strategy, version, digest, how many survive, why it is refused
    ("none", 1, bytes(32), 5, "none takes no pattern"),
    ("none", 0, b"", 2**32 - 1, "speaks of a pattern and names none"),
    ("none", 0, bytes(32), 0, "speaks of a pattern and names none"),
    ("one-shot", 1, bytes(32), 2**32 - 1, "no coordinates, or more than the model has"),
    ("one-shot", 1, bytes(32), 0, "no coordinates, or more than the model has"),
]


@pytest.mark.parametrize(("strategy", "version", "digest", "surviving", "reason"), PATTERNS)
async def test_a_pattern_that_this_run_cannot_have_is_refused_before_anything_is_made(
    tmp_path: Path, strategy: str, version: int, digest: bytes, surviving: int, reason: str
) -> None:
    """Masks would be expanded ahead for as many words as the plan names: 16 GiB of them."""
    study = small_study(tmp_path, 5, strategy=strategy, precompute=True, rounds=3)
    wrong = replace(plan(1), pattern_version=version, pattern_digest=digest, surviving=surviving)
    async with playing(study.client_settings, [wrong]) as heard:
        assert reason in reasons(heard)[0]


async def test_no_round_is_played_a_second_time(settings: ClientSettings) -> None:
    """The first plan is answered with keys; whatever comes of that round, no other attempt is."""
    plans = [plan(3), plan(3, attempt=2), plan(3), plan(2), plan(4)]
    async with playing(settings, plans) as heard:
        assert set(reasons(heard)) == {1, 2, 3}
        assert all("comes again, or after 3" in reason for reason in reasons(heard).values())


async def test_a_run_whose_time_is_stretched_otherwise_is_not_joined(
    settings: ClientSettings,
) -> None:
    with pytest.raises(JoinRefused, match="start it with --time-scale 2"):
        async with playing(replace(settings, time_scale=2.0), []):
            pass


async def test_a_signed_run_is_not_joined_without_a_roster(settings: ClientSettings) -> None:
    with pytest.raises(JoinRefused, match="has no roster"):
        async with playing(replace(settings, adversary="active"), []):
            pass


def pins() -> Pins:
    identities = {client: Identity(bytes([client + 1]) * 32) for client in range(5)}
    public = {client: identity.public for client, identity in identities.items()}
    return Pins(identities[0], public, 0.1)


async def test_with_a_roster_all_must_train_the_same(settings: ClientSettings) -> None:
    """Or a coordinator that has all others train nothing reads one client's update in the sum."""
    signed = replace(settings, adversary="active")
    named = replace(plan(2), training=bytes(32))
    async with playing(signed, [plan(1), named], pins()) as heard:
        assert "does not say what all train" in reasons(heard)[0]
        assert isinstance(heard[1], PublicKeys)


async def test_with_a_roster_nothing_is_summed_in_the_clear(settings: ClientSettings) -> None:
    """The coordinator that is not believed says `active` and means plain aggregation."""
    plain = replace(settings, adversary="active", aggregation="plain")
    with pytest.raises(JoinRefused, match="signed sums only"):
        async with playing(plain, [plan(1, aggregation="plain")], pins()):
            pass
