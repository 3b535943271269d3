"""Playing devices in a process that has no coordinator: telemetry goes to it beside the links."""

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import aiohttp

from commands.emulation import EmulatedWorker, Host, NewAccess, Site, Ways
from commands.execution import Invitation, stop_on_sigterm
from commands.hosting import hosted
from commands.nets import Net, accesses
from worker.reporting import RemoteRecorder


async def attend(
    sites: Sequence[Site],
    invitation: Invitation,
    ways: Ways,
    means: tuple[Net, int | None],
    until_eof: bool = False,
) -> None:
    """Play all sites to the end of the run, or until standard input ends; `means` = (links,
    training processes).

    Raises what the first worker to give up raises, once all have gone.
    """
    stop_on_sigterm()
    if until_eof:
        _stop_with_input()
    net, training_processes = means
    async with (
        hosted(net.time_scale, training_processes) as host,
        accesses(net, sites, invitation.url) as accessed,
    ):
        endings = await asyncio.gather(
            *(
                _play(site, invitation, ways, (host, access))
                for site, access in zip(sites, accessed, strict=True)
            ),
            return_exceptions=True,
        )
    for ending in endings:
        if isinstance(ending, BaseException):
            raise ending


def _stop_with_input() -> None:
    task, loop, source = asyncio.current_task(), asyncio.get_running_loop(), sys.stdin.fileno()

    def readable() -> None:
        if not os.read(source, 4096):
            loop.remove_reader(source)
            if task is not None:
                task.cancel()

    loop.add_reader(source, readable)


async def _play(
    site: Site, invitation: Invitation, ways: Ways, means: tuple[Host, NewAccess | None]
) -> None:
    host, access = means
    recorder = RemoteRecorder(invitation.url, host.clock)

    def joined(credential: str) -> None:
        recorder.identify(credential)
        said = f"joined: {site.device.name} behind {site.network.name}"
        print(said, file=sys.stderr, flush=True)

    worker = EmulatedWorker(site, host, recorder, access)
    connector = aiohttp.TCPConnector(ssl=ways.ssl or True)
    async with aiohttp.ClientSession(connector=connector) as beside:
        sending = asyncio.create_task(recorder.run(beside))
        try:
            with_credential = replace(ways, on_joined=joined)
            reason = await worker.run(invitation.url, invitation.token, with_credential)
            print(f"left: {reason}", file=sys.stderr, flush=True)
        finally:
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending
            await recorder.flush(beside)
