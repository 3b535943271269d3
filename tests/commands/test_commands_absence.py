"""A worker whose device comes and goes: it leaves and returns by the schedule, and ends the run."""

import asyncio
from typing import Any

import pytest

from commands.absence import Absences
from netem.playback import Playback
from netem.presence import Presence
from netem.timer import ManualTimer
from profiles.trace import Intervals
from protocol.telemetry import Event, ListRecorder, Tracer

AVAILABLE = Intervals(((0.0, 10.0), (15.0, 25.0)), 40.0)


class Playing:
    """The double of a worker: plays until it is stopped, or told that the run is over."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def run(self) -> str:
        self.calls.append("run")
        try:
            return await asyncio.shield(self.over)
        except asyncio.CancelledError:
            self.calls.append("stopped")
            raise


class Scene:
    def __init__(self) -> None:
        self.timer, self.recorder = ManualTimer(100.0), ListRecorder()
        self.worker, self.ready = Playing(), asyncio.Event()
        tracer = Tracer(self.recorder, self.timer.now, 3)
        presence = Presence(AVAILABLE, Playback(100.0))
        hang_up = lambda: self.worker.calls.append("hung up")  # noqa: E731
        waits = self.ready, asyncio.Event()
        absences = Absences(presence, self.timer, hang_up, tracer, *waits)
        self.playing = asyncio.ensure_future(absences.play(self.worker))

    async def until(self, emulated_s: float) -> list[str]:
        """What the worker went through by then, since last asked."""
        for _ in range(10):
            await asyncio.sleep(0)
        self.timer.advance(100.0 + emulated_s)
        for _ in range(10):
            await asyncio.sleep(0)
        calls, self.worker.calls = self.worker.calls, []
        return calls

    def events(self) -> list[tuple[str, float]]:
        items = [item for item in self.recorder.items if isinstance(item, Event)]
        return [(item.kind, item.time_s - 100.0) for item in items]


async def test_a_device_leaves_and_returns_as_its_trace_says() -> None:
    scene = Scene()
    scene.ready.set()
    assert await scene.until(9.9) == ["run"]
    assert await scene.until(10.0) == ["hung up", "stopped"]
    assert await scene.until(14.9) == []
    assert await scene.until(15.0) == ["run"]
    assert await scene.until(25.0) == ["hung up", "stopped"]
    assert await scene.until(40.0) == ["run"], "the trace loops"
    scene.worker.over.set_result("the run is over")
    assert await scene.playing == "the run is over"
    times = [10.0, 15.0, 25.0, 40.0]
    kinds, at_s = zip(*scene.events(), strict=True)
    assert kinds == ("device_away", "device_back") * 2
    assert at_s == pytest.approx(times)


async def test_a_device_is_set_up_before_it_may_go() -> None:
    scene = Scene()
    assert await scene.until(12.0) == ["run"]
    scene.ready.set()
    assert await scene.until(12.1) == ["hung up", "stopped"], "it should be away by now"
    assert await scene.until(15.1) == ["run"]
    scene.playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await scene.playing
    assert scene.worker.calls == ["stopped"]


async def test_a_worker_that_fails_is_heard_of() -> None:
    scene = Scene()
    scene.ready.set()
    await scene.until(1.0)
    error: Any = ValueError("a fault")
    scene.worker.over.set_exception(error)
    with pytest.raises(ValueError, match="a fault"):
        await scene.playing
