"""The compute of an emulated device: real work, handed over when the device would have finished.

The work itself runs wherever the injected executor puts it; this only holds its result back
until the charged time is over, and records when the host was slower than the device.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

from netem.fidelity import FidelityMeter
from netem.pace import Pace, Speed
from netem.present import HostsPresent, Present
from netem.timer import Timer, sleep_until

T = TypeVar("T")
K = TypeVar("K", bound=str)


class Executor(Protocol):
    """Runs a function off the loop. `deadline_s` (loop time) is when its result is needed: an
    executor may go by it in choosing what runs first, or in keeping a virtual clock still."""

    def __call__(
        self,
        deadline_s: float,
        function: Callable[..., T],
        /,
        *args: Any,  # noqa: ANN401
    ) -> Awaitable[T]: ...


class EmulatedMachine:
    """One device's processor: one piece of work at a time, at the device's pace."""

    def __init__(
        self,
        pace: Pace,
        executor: Executor,
        timer: Timer,
        meter: FidelityMeter,
        speed: Speed,
        present: Present | None = None,
    ) -> None:
        """`speed`: of the profile's pace, over the timer's time. `present`: the device's; None:
        the host's."""
        self._present = present or HostsPresent(timer)
        self._speed = speed
        self._pace = pace
        self._executor = executor
        self._timer = timer
        self._meter = meter
        self._idle = asyncio.Lock()

    async def run(
        self,
        work: Mapping[K, float],
        function: Callable[..., T],
        *args: Any,  # noqa: ANN401
    ) -> T:
        """The function's result, at start + charged seconds, or when it is there if the host was
        slower. A function that raises does so as soon as it has: failing is not charged."""
        charged_s = self._pace.seconds(work)
        async with self._idle:
            deadline_s = self._speed.finish_s(charged_s, self._present.now())
            result = await self._executor(deadline_s, function, *args)
            self._meter.computed(max(0.0, self._timer.now() - deadline_s))
            if self._timer.now() < deadline_s:
                await sleep_until(self._timer, deadline_s)
                self._meter.released(self._timer.now() - deadline_s)
            self._meter.held_up(self._present.reached(deadline_s))
            return result
