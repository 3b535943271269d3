"""Timers: order and exactness of the instants by the double, the rest by a real loop."""

import asyncio
import gc
import os
import sys
from collections.abc import Callable
from typing import Any

import pytest

from netem.timer import LoopTimer, ManualTimer, Timer, TimerfdTimer, sleep_until, timer_for

Make = Callable[[asyncio.AbstractEventLoop], Timer]
linux = pytest.mark.skipif(sys.platform != "linux", reason="timerfd is Linux's")
real_timers = pytest.mark.parametrize(
    "make", [pytest.param(TimerfdTimer, marks=linux), LoopTimer], ids=["timerfd", "loop"]
)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@real_timers
async def test_alarms_ring_in_order_and_never_early(make: Make) -> None:
    timer = make(asyncio.get_running_loop())
    start_s, rung = timer.now(), list[tuple[int, float]]()
    for index in (3, 1, 2, 0):
        when_s = start_s + 0.01 * index
        alarm = timer.alarm(lambda i=index: rung.append((i, timer.now())))  # type: ignore[misc]
        alarm.arm(when_s)
    await sleep_until(timer, start_s + 0.05)
    timer.close()
    assert [index for index, _ in rung] == [0, 1, 2, 3]
    assert all(at_s >= start_s + 0.01 * index for index, at_s in rung)


@real_timers
async def test_arming_again_replaces_and_disarming_silences(make: Make) -> None:
    timer = make(asyncio.get_running_loop())
    rung: list[str] = []
    moved, silenced = timer.alarm(lambda: rung.append("a")), timer.alarm(lambda: rung.append("b"))
    start_s = timer.now()
    for when_s in (0.01, 0.5, 0.02, 0.02):
        moved.arm(start_s + when_s)
    silenced.arm(start_s + 0.01)
    silenced.disarm()
    silenced.arm(float("inf"))
    await sleep_until(timer, start_s + 0.06)
    timer.close()
    assert rung == ["a"]


@real_timers
async def test_nothing_rings_after_close(make: Make) -> None:
    loop = asyncio.get_running_loop()
    timer, rung = make(loop), list[int]()
    alarm = timer.alarm(lambda: rung.append(1))
    alarm.arm(timer.now() + 0.01)
    timer.close()
    timer.close()
    await asyncio.sleep(0.03)
    assert rung == []


@real_timers
async def test_an_alarm_that_fails_is_reported_and_stops_no_other(make: Make) -> None:
    loop = asyncio.get_running_loop()
    reports: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, report: reports.append(report))
    timer = make(loop)
    when_s = timer.now() + 0.005
    timer.alarm(lambda: [][1]).arm(when_s)
    await sleep_until(timer, when_s)
    timer.close()
    assert [type(report["exception"]) for report in reports] == [IndexError]


@real_timers
async def test_sleeping_until_a_time_that_has_passed_returns_at_once(make: Make) -> None:
    timer = make(asyncio.get_running_loop())
    await asyncio.wait_for(sleep_until(timer, timer.now() - 1), timeout=5)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(sleep_until(timer, timer.now() + 60), timeout=0.01)
    timer.close()


@linux
async def test_the_descriptor_is_closed() -> None:
    before = open_descriptors()
    timer = TimerfdTimer(asyncio.get_running_loop())
    assert open_descriptors() == before + 1
    timer.alarm(lambda: None).arm(timer.now() + 1)
    timer.close()
    del timer
    gc.collect()
    assert open_descriptors() == before


@linux
async def test_the_best_timer_is_chosen_for_a_loop_on_the_monotonic_clock() -> None:
    timer = timer_for(asyncio.get_running_loop())
    assert isinstance(timer, TimerfdTimer)
    timer.close()


def test_a_loop_with_a_clock_of_its_own_is_followed() -> None:
    class Virtual(asyncio.SelectorEventLoop):
        def time(self) -> float:
            return super().time() + 1e6

    loop = Virtual()
    timer = timer_for(loop)
    assert isinstance(timer, LoopTimer)
    assert timer.now() == pytest.approx(loop.time(), abs=1)
    loop.close()


def test_the_double_rings_in_order_at_the_exact_instant() -> None:
    timer, rung = ManualTimer(10.0), list[tuple[str, float]]()
    second = timer.alarm(lambda: rung.append(("second", timer.now())))

    def ring_first() -> None:
        rung.append(("first", timer.now()))
        second.arm(12.0)

    timer.alarm(ring_first).arm(11.0)
    second.arm(11.0)
    timer.advance(11.5)
    assert rung == [("first", 11.0)]
    assert timer.next_s() == 12.0
    timer.advance(20.0, late_s=0.5)
    assert rung == [("first", 11.0), ("second", 12.5)]
    assert timer.now() == 20.0


def test_the_double_keeps_the_order_of_arming_on_ties_and_forgets_when_closed() -> None:
    timer, rung = ManualTimer(), list[int]()
    for index in range(5):
        timer.alarm(lambda i=index: rung.append(i)).arm(1.0)  # type: ignore[misc]
    timer.advance(1.0)
    timer.alarm(lambda: rung.append(9)).arm(2.0)
    timer.close()
    timer.advance(3.0)
    assert rung == [0, 1, 2, 3, 4]
