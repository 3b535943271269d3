"""Sends a worker's telemetry to a coordinator in another process, outside the emulated link."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict

import aiohttp
import msgpack

from protocol.telemetry import Event, Span

BATCH = 200
FLUSH_S = 1.0
REFUSED = 400


class RemoteRecorder:
    """A `Recorder` that buffers; `run` sends batches until cancelled, `flush` sends the rest."""

    def __init__(self, url: str, clock: Callable[[], float]) -> None:
        self._url = url + "/v1/telemetry"
        self._clock = clock
        self._items: list[Span | Event] = []
        self._credential = ""
        self._sending = asyncio.Lock()
        self._flushing: asyncio.Task[None] | None = None

    def identify(self, credential: str) -> None:
        """The credential of the joined client; before that nothing can be sent."""
        self._credential = credential

    def record(self, item: Span | Event) -> None:
        self._items.append(item)

    async def run(self, session: aiohttp.ClientSession) -> None:
        """Never cancelled within a batch: it would be sent twice."""
        while True:
            await asyncio.sleep(FLUSH_S)
            self._flushing = asyncio.create_task(self.flush(session))
            await asyncio.shield(self._flushing)

    async def flush(self, session: aiohttp.ClientSession) -> None:
        """Send what is buffered. What cannot be delivered stays for the next time; what is refused
        for what it says would be refused again."""
        async with self._sending:
            await self._send(session)

    async def _send(self, session: aiohttp.ClientSession) -> None:
        while self._items and self._credential:
            batch = self._items[:BATCH]
            headers = {"Authorization": f"Bearer {self._credential}"}
            body = msgpack.packb({"sent_s": self._clock(), **_listed(batch)})
            try:
                async with session.post(self._url, data=body, headers=headers) as response:
                    if response.status >= 300 and response.status != REFUSED:
                        return
            except (aiohttp.ClientError, OSError):
                return
            del self._items[: len(batch)]


def _listed(items: list[Span | Event]) -> dict[str, list[dict[str, object]]]:
    """The sender is known by its credential: `client` does not travel."""
    plain: dict[str, list[dict[str, object]]] = {"spans": [], "events": []}
    for item in items:
        fields = asdict(item)
        del fields["client"]
        plain["spans" if isinstance(item, Span) else "events"].append(fields)
    return plain
