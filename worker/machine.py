"""The processor that a worker computes on, as an interface, and the real one.

An emulated device (`netem.machine`) has the same `run` and takes as long as the device would.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

from protocol.work import Tally

T = TypeVar("T")


class Executor(Protocol):
    """Runs a function off the event loop; `deadline_s` (loop time) says how soon it is needed."""

    async def __call__(self, deadline_s: float, function: Callable[..., T], *args: object) -> T: ...


class Machine(Protocol):
    async def run(self, work: Tally, function: Callable[..., T], *args: object) -> T:
        """Compute `function(*args)`, which is `work`, off the event loop, and return its result
        when this machine is done with it."""


class RealMachine:
    """The host itself: as fast as it is."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def run(self, work: Tally, function: Callable[..., T], *args: object) -> T:
        now = asyncio.get_running_loop().time()
        return await self._executor(now, function, *args)


async def in_thread(deadline_s: float, function: Callable[..., T], *args: object) -> T:
    """The executor for short work that releases the GIL: hashing, ciphers, numpy."""
    return await asyncio.to_thread(function, *args)
