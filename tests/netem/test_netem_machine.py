"""Pace and the machine that keeps it."""

import asyncio
import math
from collections.abc import Callable, Coroutine, Mapping
from enum import StrEnum
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netem.fidelity import FidelityMeter
from netem.machine import EmulatedMachine
from netem.pace import FullSpeed, Pace, PaceError
from netem.timer import ManualTimer

T = TypeVar("T")


class Operation(StrEnum):
    MAC = "mac"
    BYTE = "byte"


class Host:
    """An executor whose work takes the host a set time, on a manual clock."""

    def __init__(self, timer: ManualTimer, takes_s: float) -> None:
        self.timer = timer
        self.takes_s = takes_s
        self.deadlines: list[float] = []
        self.running = self.most_at_once = 0

    async def __call__(
        self,
        deadline_s: float,
        function: Callable[..., T],
        /,
        *args: Any,  # noqa: ANN401
    ) -> T:
        self.deadlines.append(deadline_s)
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        await asyncio.sleep(0)
        self.timer.advance(self.timer.now() + self.takes_s)
        self.running -= 1
        return function(*args)


class Rig:
    def __init__(self, takes_s: float, time_scale: float = 1.0) -> None:
        self.timer, self.meter = ManualTimer(50.0), FidelityMeter()
        self.host = Host(self.timer, takes_s)
        pace = Pace({Operation.MAC: 0.5, Operation.BYTE: 0.001})
        self.machine = EmulatedMachine(
            pace, self.host, self.timer, self.meter, FullSpeed(time_scale)
        )

    async def run(
        self,
        work: Mapping[str, float],
        function: Callable[..., T],
        *args: Any,  # noqa: ANN401
    ) -> tuple[T, float]:
        """The result, and when it was there."""
        return await self.machine.run(work, function, *args), self.timer.now()

    async def finish(self, *coroutines: Coroutine[Any, Any, tuple[T, float]]) -> list[float]:
        """Drive the clock until all are done; when each was."""
        tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
        while not all(task.done() for task in tasks):
            for _ in range(5):
                await asyncio.sleep(0)
            self.timer.advance(min(self.timer.next_s(), self.timer.now() + 1))
        return [task.result()[1] for task in tasks]


def test_seconds_are_counts_times_seconds_each() -> None:
    pace = Pace({Operation.MAC: 2e-9, "byte": 1e-6})
    assert pace.seconds({Operation.MAC: 1e9, Operation.BYTE: 500}) == pytest.approx(2.0005)
    assert pace.seconds({"mac": 1}) == 2e-9
    assert pace.seconds({}) == 0


@given(
    st.dictionaries(st.sampled_from("abc"), st.floats(0, 1e6)),
    st.dictionaries(st.sampled_from("abc"), st.floats(0, 1e6)),
)
def test_work_adds_up(one: dict[str, float], other: dict[str, float]) -> None:
    pace = Pace({"a": 1e-3, "b": 2.0, "c": 0.0})
    both = {key: one.get(key, 0) + other.get(key, 0) for key in one | other}
    assert pace.seconds(both) == pytest.approx(pace.seconds(one) + pace.seconds(other))


def test_an_unknown_operation_is_never_free() -> None:
    with pytest.raises(PaceError, match="sieve: the device has no seconds"):
        Pace({"mac": 1.0}).seconds({"sieve": 0})


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_impossible_figures_are_refused(bad: float) -> None:
    with pytest.raises(PaceError, match="mac: seconds"):
        Pace({"mac": bad})
    with pytest.raises(PaceError, match="mac: a count"):
        Pace({"mac": 1.0}).seconds({"mac": bad})
    with pytest.raises(PaceError, match="time_scale"):
        Rig(0.0, time_scale=bad)


@pytest.mark.parametrize("scale", [1.0, 3.0])
async def test_the_result_is_held_back_until_the_charged_time_is_over(scale: float) -> None:
    rig = Rig(takes_s=0.25, time_scale=scale)
    results: list[tuple[int, int]] = []
    assert await rig.finish(rig.run({"mac": 2}, lambda: results.append(divmod(7, 2)))) == [
        50.0 + scale
    ]
    assert results == [(3, 1)]
    assert rig.host.deadlines == [50.0 + scale]
    measured = rig.meter.measured()
    assert (measured.late_jobs, measured.overrun_s, rig.meter.late_s) == (0, 0.0, 0.0)
    assert measured.lateness_ms_max == 0.0


async def test_a_host_slower_than_the_device_is_recorded() -> None:
    rig = Rig(takes_s=1.5)
    assert await rig.finish(rig.run({"mac": 2}, int)) == [51.5]
    measured = rig.meter.measured()
    assert (measured.late_jobs, measured.overrun_s) == (1, 0.5)
    assert rig.meter.late_s == 0.5


async def test_one_device_does_one_thing_at_a_time() -> None:
    rig = Rig(takes_s=0.1)
    jobs = [rig.run({"mac": 2}, int) for _ in range(3)]
    assert await rig.finish(*jobs) == [51.0, 52.0, 53.0]
    assert rig.host.most_at_once == 1


async def test_a_failure_comes_at_once_and_frees_the_machine() -> None:
    rig = Rig(takes_s=0.1)
    with pytest.raises(ZeroDivisionError):
        await rig.machine.run({Operation.MAC: 100}, divmod, 1, 0)
    assert rig.timer.now() == pytest.approx(50.1)
    assert await rig.finish(rig.run({"mac": 2}, int)) == [pytest.approx(51.1)]


async def test_work_without_figures_is_refused_before_it_is_done() -> None:
    rig = Rig(takes_s=0.0)
    with pytest.raises(PaceError):
        await rig.machine.run({"sieve": 1}, int)
    assert rig.host.deadlines == []
