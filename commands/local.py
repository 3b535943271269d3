"""Workers on this host: as tasks of this process, or in several processes of their own."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from commands.emulation import EmulatedWorker, Host, NewAccess, Site, Ways
from commands.execution import Invitation, WorkerFailed, Workers
from commands.identities import pins_of, write_identities
from commands.memories import Memories
from commands.nets import Net, accesses, check_playable, check_possible
from commands.randomness import source_of
from commands.sharing import at_coordinator, joint, shared_network
from commands.study import Study
from commands.worker import TOKEN_VARIABLE
from learning.task import TaskError
from learning.training import TrainingError
from netem.packet.errors import LinksLost
from protocol.errors import LocalError, ProtocolError
from protocol.secagg.client import ClientMachine
from protocol.secagg.modelled import ModelledClient
from protocol.telemetry import Event, Recorder
from strategies.state import StateError
from worker.channel import ChannelLost, JoinRefused
from worker.hollow import HollowTransfers
from worker.memory import Forgetful
from worker.pool import PoolError
from worker.transfer import Transfers

FRONT_DOOR = Path(__file__).parent.parent / "run_testbed.py"


def local_workers(study: Study, memories: Memories | None = None) -> Workers:
    """Who plays the fleet, as the study's `placement` says; clients that are tasks of this process
    keep in `memories` what they need after a restart. Raises BadInput if they cannot be
    linked as asked."""
    settings = study.settings
    net = Net(settings.net, settings.time_scale, settings.rates_only)
    listed = study.fleet.population is None
    members = study.fleet.members
    again = study.again.of_client if study.again else lambda client: None
    by_rounds = settings.tcp == "rounds"
    sites = [
        Site(
            *(m.device, m.network, m.index, listed, settings.seed, m.trace, again(m.index)),
            by_rounds,
        )
        for m in members
    ]
    check_playable(net, sites)
    check_possible(net, sites)
    together = settings.placement == "tasks" and settings.net == "stream"
    coordinator = at_coordinator(settings, study.fleet, together)

    async def as_tasks(invitation: Invitation, host: Host, recorder: Recorder) -> None:
        pins = pins_of(study.identities, settings.corrupt, settings.crowd)
        drawn = source_of(settings, study.resumed)
        memory = memories.of if memories else (lambda member: Forgetful())
        machine = ModelledClient if settings.crypto == "modelled" else ClientMachine
        transfers = HollowTransfers if study.hollow else Transfers
        ways = Ways(
            settings.data,
            pins=pins,
            randomness=drawn,
            machine=machine,
            memory=memory,
            transfers=transfers,
        )
        network = shared_network(study.fleet, host.timer, settings.time_scale, coordinator)
        try:
            async with (
                accesses(net, sites, invitation.url) as accessed,
                asyncio.TaskGroup() as group,
            ):
                for site, separate in zip(sites, accessed, strict=True):
                    access = separate or joint(site, network, host.timer, host.time_scale)
                    group.create_task(play(site, invitation, host, (recorder, ways, access)))
        except LinksLost as error:
            raise WorkerFailed(str(error)) from error
        except ExceptionGroup as failures:
            first = failures.exceptions[0]
            if isinstance(first, TrainingError | TaskError | PoolError | LocalError | StateError):
                raise WorkerFailed(f"a worker could not get ready: {first}") from failures
            raise

    async def as_processes(invitation: Invitation, host: Host, recorder: Recorder) -> None:
        with TemporaryDirectory() as folder:
            if study.identities is not None:
                write_identities(study.identities, Path(folder))
            await _in_processes(study, invitation, Path(folder))

    return as_processes if settings.placement == "processes" else as_tasks


async def play(
    site: Site,
    invitation: Invitation,
    host: Host,
    means: tuple[Recorder, Ways, NewAccess | None],
) -> None:
    """Play one device to the end of the run. A worker that has to give up says so in the record
    and leaves: the coordinator counts it as lost."""
    recorder, ways, access = means
    worker = EmulatedWorker(site, host, recorder, access)
    try:
        await worker.run(invitation.url, invitation.token, ways)
    except (ChannelLost, JoinRefused, ProtocolError) as error:
        notes = {"reason": f"{type(error).__name__}: {error}"}
        recorder.record(Event("worker_gave_up", 0, site.member, host.clock(), notes))


async def _in_processes(study: Study, invitation: Invitation, folder: Path) -> None:
    """Spread the fleet over processes; all are gone when this ends, however it ends."""
    count = min(study.settings.processes, len(study.fleet.members))
    processes: list[Process] = []
    try:
        for part in range(count):
            members = range(part, len(study.fleet.members), count)
            processes.append(await _start(study, invitation, members, folder))
        await asyncio.gather(*map(_ended, processes))
    finally:
        for process in processes:
            if process.returncode is None:
                process.terminate()
        await asyncio.gather(*(process.communicate() for process in processes))


async def _ended(process: Process) -> None:
    """Pass on what a process said that ended badly by itself; one that is ended says so too, but
    that is no news."""
    _, said = await process.communicate()
    if process.returncode:
        print(said.decode(errors="replace"), end="", file=sys.stderr, flush=True)


async def _start(
    study: Study, invitation: Invitation, members: Sequence[int], folder: Path
) -> Process:
    settings = study.settings
    arguments = ["worker", "--join", invitation.url, "--profile", settings.profile]
    arguments += ["--members", ",".join(map(str, members)), "--processes", "1"]
    arguments += ["--until-eof"]  # of a pipe that breaks when this process is killed
    arguments += ["--time-scale", str(settings.time_scale), "--seed", str(settings.seed)]
    arguments += ["--net", settings.net, *(["--rates-only"] if settings.rates_only else [])]
    if study.identities is not None:
        arguments += ["--identities", str(folder), "--corrupt", str(settings.corrupt)]
        arguments += ["--crowd", str(settings.crowd)]
    if settings.data is not None:
        arguments += ["--data", settings.data]
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(FRONT_DOOR),
        *arguments,
        stdin=PIPE,
        stdout=DEVNULL,
        stderr=PIPE,
        env=os.environ | {TOKEN_VARIABLE: invitation.token},
    )
