"""Playing devices in a process that has no coordinator: telemetry goes to it beside the links."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import aiohttp

from commands.emulation import EmulatedWorker, Host, Site, Ways
from commands.execution import Invitation, hosted, stop_on_sigterm
from worker.reporting import RemoteRecorder


async def attend(
    sites: Sequence[Site], invitation: Invitation, ways: Ways, means: tuple[float, int | None]
) -> None:
    """Play all sites to the end of the run; `means` = (time scale, training processes).

    Raises what the first worker to give up raises, once all have gone.
    """
    stop_on_sigterm()
    async with hosted(*means) as host:
        endings = await asyncio.gather(
            *(_play(site, invitation, ways, host) for site in sites), return_exceptions=True
        )
    for ending in endings:
        if isinstance(ending, BaseException):
            raise ending


async def _play(site: Site, invitation: Invitation, ways: Ways, host: Host) -> None:
    recorder = RemoteRecorder(invitation.url, host.clock)

    def joined(credential: str) -> None:
        recorder.identify(credential)
        said = f"joined: {site.device.name} behind {site.network.name}"
        print(said, file=sys.stderr, flush=True)

    worker = EmulatedWorker(site, host, recorder)
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
