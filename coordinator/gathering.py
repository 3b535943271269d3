"""Waiting for an answer from each of several clients: all, or until lost, or until the limit."""

import asyncio
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Gathering(Generic[T]):
    """Collects one answer a client. Complete when every client has answered or is lost."""

    def __init__(self, expected: Iterable[int]) -> None:
        self.awaited = set(expected)
        self.answers: dict[int, T] = {}
        self.lost: dict[int, str] = {}
        self.spared: set[int] = set()
        """Whose answers were not needed any more; they may still come."""
        self._complete = asyncio.Event()
        self._reached: list[tuple[int, asyncio.Event]] = []
        self._check()

    def answer(self, client: int, value: T) -> None:
        """Later or unexpected answers are the caller's to refuse: see `awaits`."""
        self.awaited.discard(client)
        self.answers[client] = value
        self._check()

    def awaits(self, client: int) -> bool:
        return client in self.awaited

    def lose(self, client: int, reason: str) -> None:
        if client in self.awaited:
            self.awaited.discard(client)
            self.lost[client] = reason
            self._check()

    def finish(self) -> None:
        """Enough: whoever is still awaited is neither lost nor needed."""
        self.spared |= self.awaited
        self.awaited.clear()
        self._check()

    async def wait(self, limit_s: float, exempt: Iterable[int] = ()) -> None:
        """Until complete, or until `limit_s`: then whoever is still awaited is lost.

        `exempt` (read when the limit passes) are clients that are making progress: they are
        waited for without a limit here, since their transfer has one of its own.
        """
        try:
            async with asyncio.timeout(limit_s):
                await self._complete.wait()
        except TimeoutError:
            for client in self.awaited - set(exempt):
                self.lose(client, f"no answer within {limit_s:g} s")
            await self._complete.wait()

    async def reach(self, answers: int) -> None:
        """Until so many have answered, or until complete."""
        reached = asyncio.Event()
        self._reached.append((answers, reached))
        self._check()
        await reached.wait()

    def _check(self) -> None:
        for answers, reached in self._reached:
            if not self.awaited or len(self.answers) >= answers:
                reached.set()
        if not self.awaited:
            self._complete.set()
