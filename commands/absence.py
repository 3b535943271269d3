"""A worker whose device is there only at times: it leaves and comes back as its trace says.

A device that goes drops its connections as they stand and what it was computing with them; the
worker keeps what a real one has on disk (who it is, what it learned of its speed), and joins again
as the same client. It is set up before it may go: absences count once it is ready for rounds.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from netem.timer import Timer, sleep_until
from protocol.telemetry import Tracer

_BEYOND_S = 1e-6
"""Past the instant of a change, where rounding cannot hide it."""


class Playing(Protocol):
    """A worker, as far as its device is concerned."""

    async def run(self) -> str: ...


class Schedule(Protocol):
    """`netem.presence.Presence`, or one that is moved meanwhile."""

    def until_s(self, now_s: float) -> tuple[bool, float]: ...


@dataclass(frozen=True, slots=True)
class Absences:
    """`hang_up` drops all connections of the device. `moved` is set when the schedule moves."""

    presence: Schedule
    timer: Timer
    hang_up: Callable[[], None]
    tracer: Tracer
    ready: asyncio.Event
    moved: asyncio.Event

    async def play(self, worker: Playing) -> str:
        """As `Worker.run`, whenever the device is there."""
        at_s = self.timer.now()
        while True:
            playing = asyncio.ensure_future(worker.run())
            try:
                at_s = await self._until_it_goes(playing, at_s)
                if playing.done():
                    return playing.result()
                self.hang_up()
            finally:
                playing.cancel()
                await asyncio.gather(playing, return_exceptions=True)
            self.tracer.event("device_away", 0)
            at_s = max(at_s, self.timer.now())
            _, back_s = self.presence.until_s(at_s + _BEYOND_S)
            await sleep_until(self.timer, back_s)
            self.tracer.event("device_back", 0)
            at_s = back_s + _BEYOND_S

    async def _until_it_goes(self, playing: "asyncio.Future[str]", at_s: float) -> float:
        """Until then, or until its part is over; returns the instant of the schedule."""
        waiting = asyncio.ensure_future(self.ready.wait())
        await _first(playing, waiting)
        while True:
            self.moved.clear()
            there, goes_s = self.presence.until_s(max(at_s, self.timer.now()))
            goes_s = goes_s if there else self.timer.now()
            leaving = asyncio.ensure_future(sleep_until(self.timer, goes_s))
            await _first(playing, leaving, asyncio.ensure_future(self.moved.wait()))
            if playing.done() or not self.moved.is_set():
                return goes_s


async def _first(playing: "asyncio.Future[str]", *others: "asyncio.Future[Any]") -> None:
    try:
        await asyncio.wait({playing, *others}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for other in others:
            other.cancel()
