"""A whole round over TLS: models and vectors go through the same buffers as over a bare socket."""

import asyncio
import ssl
from pathlib import Path

import aiohttp
import numpy as np

from commands.coordination import Access, build_coordinator, served
from protocol.telemetry import Tracer
from tests.netem.test_netem_connector_tls import self_signed
from tests.rounds.conftest import (
    TOKEN,
    Clock,
    Played,
    Scene,
    Trainer,
    instantly,
    plain_mean,
    small_study,
    undisturbed,
)
from worker.client import Device
from worker.machine import RealMachine, in_thread
from worker.worker import Place, Worker

LIMIT_S = 60.0


async def play(url: str, client: int, scene: Scene, trusted: ssl.SSLContext) -> str:
    clock = Clock()
    trainer = Trainer(scene, clock, 1.0, late=False)
    device = Device(trainer, RealMachine(in_thread), Tracer(scene, clock, client), undisturbed)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusted)) as session:
        place = Place(url, TOKEN, "galaxy-note10", client)
        return await Worker(place, session, device, lambda credential: None).run()


async def test_a_round_over_tls(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    self_signed(certificate, key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    trusted = ssl.create_default_context(cafile=str(certificate))
    study = small_study(tmp_path, 3, threshold=2)
    scene = Scene(3)
    coordinator = build_coordinator(study, scene, scene.clock, instantly, Access(TOKEN))
    played = Played(study, coordinator, scene, coordinator.model.vector.copy())
    async with (
        asyncio.timeout(LIMIT_S),
        served(coordinator, ("127.0.0.1", 0), server) as url,
        asyncio.TaskGroup() as group,
    ):
        there = url.replace("127.0.0.1", "localhost")
        for client in range(3):
            group.create_task(play(there, client, scene, trusted))
        await coordinator.run()
    assert [event.notes["reason"] for event in played.events("client_lost")] == []
    np.testing.assert_array_equal(played.vector, plain_mean(played, range(3)))
