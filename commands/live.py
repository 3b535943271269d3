"""The live view on stderr: round, phase, who is being waited for and how far its transfer is.

Reads the coordinator's status a few times a second; on something that is not a terminal it says a
line a round instead.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from coordinator.status import Status, Transfer
from netem.virtual.loop import VirtualLoop
from profiles import Fleet

REFRESH_S = 0.2
SHOWN = 8
"""Clients listed at a time: the others are counted."""


@asynccontextmanager
async def shown(status: Status, fleet: Fleet) -> AsyncIterator[None]:
    """Show the status until the context ends."""
    console = Console(stderr=True)
    frames = _drawn(console, status, fleet) if console.is_terminal else _told(status)
    loop = asyncio.get_running_loop()
    with frames as show:
        if isinstance(loop, VirtualLoop):  # by the host's clock: nothing of the run's passes
            end = loop.watch(REFRESH_S, show)
            try:
                yield
            finally:
                end()
            return
        showing = asyncio.create_task(_repeated(show))
        try:
            yield
        finally:
            showing.cancel()
            with suppress(asyncio.CancelledError):
                await showing


async def _repeated(show: Callable[[], None]) -> None:
    while True:
        show()
        await asyncio.sleep(REFRESH_S)


@contextmanager
def _drawn(console: Console, status: Status, fleet: Fleet) -> Iterator[Callable[[], None]]:
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield lambda: live.update(view(status, fleet), refresh=True)


@contextmanager
def _told(status: Status) -> Iterator[Callable[[], None]]:
    """A line when the fleet has assembled and when a round begins."""
    told = -1

    def tell() -> None:
        nonlocal told
        if told != status.round:
            told = status.round
            metric = "" if status.last_metric is None else f", metric {status.last_metric:.3f}"
            where = f"round {told} of {status.rounds}" if told else "waiting for workers"
            print(f"{where}{metric}", file=sys.stderr, flush=True)

    yield tell


def view(status: Status, fleet: Fleet) -> RenderableType:
    """One frame."""
    if status.round == 0:
        return Text(f"waiting for workers: {status.joined} of {len(fleet.members)} are ready")
    metric = "" if status.last_metric is None else f"   metric {status.last_metric:.3f}"
    head = Text(f"round {status.round} of {status.rounds}   {status.phase}{metric}", style="bold")
    awaited = sorted(status.awaited)
    if not awaited:
        return head
    table = Table.grid(padding=(0, 1))
    for client in awaited[:SHOWN]:
        member = fleet.members[client]
        what, transfer = _doing(status, client)
        table.add_row(
            f"{client:>3}", member.device.name, f"{member.network.name}", what, _bar(transfer)
        )
    if len(awaited) > SHOWN:
        table.add_row("", f"and {len(awaited) - SHOWN} more", "", "", "")
    return Group(head, Text(f"waiting for {len(awaited)}:", style="dim"), table)


def _doing(status: Status, client: int) -> tuple[str, Transfer | None]:
    if client in status.uploads:
        return "uploads", status.uploads[client]
    if client in status.downloads:
        return "downloads", status.downloads[client]
    return ("trains", None) if status.phase == "collect" else ("", None)


def _bar(transfer: Transfer | None) -> RenderableType:
    if transfer is None:
        return Text("")
    return ProgressBar(total=transfer.total_bytes, completed=transfer.done_bytes, width=24)
