"""Takes the masks off the sum while the answers that tell of them are still coming in.

The work runs on the event loop's executor, the masks of each batch in parallel over the parts of
the vector. Knows neither clients nor messages.
"""

import asyncio
from collections.abc import Sequence

from coordinator.summation import Summation
from protocol.secagg.aggregate import Aggregate
from protocol.secagg.masks import Mask


class Unmasking:
    """Of one round's sum."""

    def __init__(self, summation: Summation, aggregate: Aggregate) -> None:
        self._summation = summation
        self._aggregate = aggregate
        self._due: list[int] = []
        self._task: asyncio.Task[None] | None = None

    def go_on(self) -> None:
        """An answer has come: whatever it allows is begun. What fails shows in `finish`."""
        self._due += self._summation.recoverable()
        if self._due and self._task is None:
            self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        while self._due:
            clients, self._due = self._due, []
            await self._remove(await asyncio.to_thread(self._summation.masks_of, clients))
        self._task = None

    async def _remove(self, masks: Sequence[Mask]) -> None:
        if masks:
            jobs = self._aggregate.removal(masks)
            await asyncio.gather(*map(asyncio.to_thread, jobs))

    async def finish(self) -> None:
        """All steps are done: remove what is left. Raises TooFewSurvivors and ProtocolError."""
        if self._task is not None:
            await self._task
        await self._remove(await asyncio.to_thread(self._summation.masks))

    async def close(self) -> None:
        """Nothing goes on behind the round's back."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
