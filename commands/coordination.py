"""Putting a coordinator together and serving it."""

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ssl import SSLContext

from aiohttp import web

from commands.emulation import Clock
from commands.model import FederatedModel, Meaning
from commands.randomness import Source, unpredictable
from commands.study import Study
from coordinator.admission import Admission
from coordinator.app import build_app
from coordinator.engine import Coordinator, Parts
from coordinator.intake import TelemetryIntake
from coordinator.limits import Limits
from coordinator.summation import SumRule
from coordinator.uploads import READ_BYTES
from protocol.secagg.modelled import ModelledServer
from protocol.secagg.ring import Words
from protocol.secagg.server import ServerMachine
from protocol.sizes import SESSION_BYTES
from protocol.telemetry import Recorder, Tracer
from strategies.draw import drawn
from worker.machine import Executor

TOKEN_BYTES = 16


def new_token() -> str:
    """Hexadecimal: one that begins with a dash would be taken for an option."""
    return secrets.token_hex(TOKEN_BYTES)


@dataclass(frozen=True, slots=True)
class Access:
    """What admits workers, and who they must be where the coordinator is not believed."""

    token: str = field(repr=False)
    identities: Mapping[int, bytes] | None = None
    """Identity keys by client, known to all from outside the protocol."""
    randomness: Source = unpredictable


def build_coordinator(
    study: Study, recorder: Recorder, clock: Clock, executor: Executor, access: Access
) -> Coordinator:
    session = access.randomness("session")(SESSION_BYTES)
    limits = limits_of(study)
    task = study.task
    meaning = Meaning(study.layout, study.fixed_point, study.divisor, study.pruning)
    model = FederatedModel(task.settings, meaning, executor)
    half = drawn(study.strategy.server(study.strategy_settings, task.structure), study.draw)

    def show(client: int, words: Words) -> None:
        half.see(client, model.vector, model.update_of(words))

    parts = Parts(
        model=model,
        strategy=half,
        onlookers=(show,) if study.strategy.needs_plain else (),
        rule=SumRule(
            study.settings.aggregation,
            session,
            study.fixed_point.ring_bits,
            study.degree,
            access.identities,
            study.corrupt,
            study.settings.crowd,
            access.randomness,
            ModelledServer if study.settings.crypto == "modelled" else ServerMachine,
            study.client_settings.training_digest,
        ),
        admission=Admission(
            access.token, session, study.client_settings.to_mapping(), limits.handshake_s
        ),
        tracer=Tracer(recorder, clock),
        intake=TelemetryIntake(recorder),
        limits=limits,
        hollow=study.hollow,
    )
    return Coordinator(parts, study.clients, study.settings.rounds)


def limits_of(study: Study) -> Limits:
    """Limits are emulated seconds: stretched like everything else."""
    settings, scale = study.settings, study.settings.time_scale
    return Limits(
        join_s=settings.join_s * scale,
        handshake_s=Limits().handshake_s * scale,
        heartbeat_s=settings.heartbeat_s * scale,
        exchange_s=settings.exchange_s * scale,
        training_s=settings.training_s * scale,
        stall_s=settings.stall_s * scale,
        second_s=scale,
    )


@asynccontextmanager
async def served(
    coordinator: Coordinator, address: tuple[str, int], ssl: SSLContext | None = None
) -> AsyncIterator[str]:
    """Serve while the context lasts; yields the URL. Port 0 takes a free one. OSError if taken."""
    runner = web.AppRunner(
        build_app(coordinator),
        access_log=None,
        shutdown_timeout=1.0,
        read_bufsize=READ_BYTES,
        auto_decompress=False,  # workers compress nothing: a body never grows beyond its length
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, *address, ssl_context=ssl)
        await site.start()
        port = runner.addresses[0][1]
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        yield f"{'https' if ssl else 'http'}://{host}:{port}"
    finally:
        await runner.cleanup()
