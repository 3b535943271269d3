"""Executing a study: one function from settings to a finished run folder.

The same for `run` (workers on this host) and `coordinator` (workers from elsewhere): they differ
in who brings the workers. And the same under either clock: they differ in the loop.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from ssl import SSLContext
from typing import Any

from commands.coordination import Access, build_coordinator, new_token, served
from commands.emulation import Host
from commands.errors import BadInput, Failure
from commands.hosting import host_of, loop_of
from commands.keeping import attach_keeper
from commands.live import shown
from commands.randomness import source_of
from commands.recording import write_record
from commands.resumption import Lasting
from commands.study import Study
from coordinator.errors import RunFailed
from netem.virtual.errors import VirtualClockError
from profiles import ProfileError
from protocol.telemetry import Json, Recorder, Tracer
from runs.errors import RunFolderError
from runs.folder import RunFolder
from worker.pool import PoolError


@dataclass(frozen=True, slots=True)
class Invitation:
    """Where the coordinator is to be found, and what admits to it."""

    url: str
    token: str = field(repr=False)


Workers = Callable[[Invitation, Host, Recorder], Awaitable[None]]
"""Brings the run's workers to its coordinator; ends when they have gone."""


@dataclass(frozen=True, slots=True)
class Listening:
    host: str = "127.0.0.1"
    port: int = 0
    ssl: SSLContext | None = None
    token: str | None = field(default=None, repr=False)
    """That workers were told before; None: a new one."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that was played to its end."""

    path: Path
    summary: dict[str, Json]


class WorkerFailed(Exception):
    """A worker of this host ended in a way that no worker should."""


def execute(
    study: Study,
    out: Path | None,
    workers: Workers,
    listening: Listening | None = None,
    lasting: Lasting | None = None,
) -> Finished:
    """Run the study. The folder is whole whatever happens. `lasting`: what keeps checkpoints of a
    run in `out`, or goes on from one.

    Raises BadInput if the folder cannot be made, Failure if the run fails or is interrupted.
    """
    path = out or default_folder(study)
    folder = (lasting or Lasting(path)).open(study, elsewhere=listening is not None)
    status, reason = "failed", "a fault of the testbed itself"
    try:
        with asyncio.Runner(loop_factory=loop_of(study.settings.clock)) as runner:
            runner.run(_play(study, (folder, lasting), workers, listening or Listening()))
        status, reason = "finished", ""
    except (KeyboardInterrupt, asyncio.CancelledError):
        status, reason = "interrupted", "stopped by the user"
    except (RunFailed, PoolError, WorkerFailed, VirtualClockError) as error:
        reason = str(error)
    except BadInput as error:
        reason = str(error)
        raise
    finally:
        if lasting is not None:
            lasting.close(status == "finished")
        summary = _closed(folder, status, reason)
        if study.settings.record:
            reason = _recorded(path, reason)
    if status != "finished":
        raise Failure(f"{reason}; {summary['rounds']} finished rounds are kept in {path}")
    return Finished(path, summary)


def _recorded(path: Path, reason: str) -> str:
    """Write what the devices went through; a run that failed may have nothing to tell."""
    try:
        write_record(path)
    except (BadInput, ProfileError) as error:
        if not reason:
            raise Failure(f"the run is finished but not recorded: {error}") from error
        return f"{reason}; not recorded: {error}"
    return reason


def default_folder(study: Study) -> Path:
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    settings = study.settings
    name = f"{moment}-{study.fleet.name}-{settings.strategy}-{settings.aggregation}"
    return Path("out") / f"{name}-seed{settings.seed}"


def _closed(folder: RunFolder, status: str, reason: str) -> dict[str, Json]:
    try:
        return folder.close(status, reason or None)
    except RunFolderError as error:
        raise Failure(f"{error}; what could be written is in {folder.path}") from error


async def _play(
    study: Study,
    kept: tuple[RunFolder, Lasting | None],
    workers: Workers,
    listening: Listening,
) -> None:
    stop_on_sigterm()
    folder, lasting = kept
    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(host_of(study.settings))
        public = study.identities.public if study.identities else None
        randomness = source_of(study.settings, study.resumed)
        access = Access(listening.token or new_token(), public, randomness)
        coordinator = build_coordinator(study, folder, host.clock, host.trainer, access)
        if lasting is not None:
            lasting.attach(coordinator, folder)
        attach_keeper(study, coordinator, folder.keep)
        try:
            url = await stack.enter_async_context(
                served(coordinator, (listening.host, listening.port), listening.ssl)
            )
        except OSError as error:
            where = f"{listening.host}:{listening.port}"
            raise BadInput(f"--listen: {where}: {error.strerror}") from error
        await stack.enter_async_context(shown(coordinator.status, study.fleet))
        Tracer(folder, host.clock).event("run_started", 0)
        try:
            await together(coordinator.run(), workers(Invitation(url, access.token), host, folder))
        finally:
            shapes = {p.name: p.shape for p in study.task.structure.parameters}
            folder.write_model(coordinator.model.vector, shapes)


GRACE_S = 10.0
"""For workers that were cut off as the run ended: longer than their longest pause between tries."""


async def together(run: Coroutine[Any, Any, None], workers: Awaitable[None]) -> None:
    """Until the run is over. A run that fails takes its workers along; after one that ends well
    they have a little time to go by themselves."""
    attending = asyncio.ensure_future(workers)
    playing = asyncio.create_task(run)
    try:
        await asyncio.wait({attending, playing}, return_when=asyncio.FIRST_COMPLETED)
        if not playing.done():
            attending.result()
            await playing
        playing.result()
        await asyncio.wait({attending}, timeout=GRACE_S)
        if attending.done():
            attending.result()
    finally:
        for task in (playing, attending):
            task.cancel()
        await asyncio.gather(playing, attending, return_exceptions=True)


def stop_on_sigterm() -> None:
    """A terminated run is an interrupted one: its folder is finished, its processes are ended."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
