"""No alarm is lost: whatever is armed, disarmed and armed again, also from within alarms that ring,
the kernel's timer is always set for the earliest."""

import asyncio
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netem.channel import Channel, Phantom, Piece, Signal
from netem.device import DeviceLinks, LinkPair
from netem.link import LinkParameters, wire_bytes
from netem.timer import Alarm, ManualTimer, TimerfdTimer

AHEAD_S = 100_000.0
"""The hand-moved clock is so far ahead of the kernel's that its timer never expires by itself."""
ALARMS = 4
GRAIN_S = 10.0
"""Alarms lie so far apart that the real time a test takes between two of them does not matter."""

Step = tuple[str, int, int]
STEP = st.tuples(st.sampled_from(("arm", "disarm")), st.integers(0, ALARMS - 1), st.integers(-1, 6))


class HandMovedLoop:
    """As much of a loop as a timer needs; its poll asks the kernel when its timer would expire."""

    def __init__(self) -> None:
        self.begin_s = self.now_s = math.floor(time.monotonic()) + AHEAD_S
        self.errors: list[dict[str, Any]] = []

    def time(self) -> float:
        return self.now_s

    def add_reader(self, descriptor: int, readable: Callable[[], None]) -> None:
        self._descriptor, self._readable = descriptor, readable

    def remove_reader(self, descriptor: int) -> bool:
        return descriptor == self._descriptor

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)

    def set_for_s(self) -> float:
        """What the kernel says (proc(5), fdinfo of a timerfd), to the grain."""
        for line in Path(f"/proc/self/fdinfo/{self._descriptor}").read_text().splitlines():
            if line.startswith("it_value:"):
                seconds, nanoseconds = map(int, line.split("(")[1].rstrip(")").split(","))
                left_s = seconds + nanoseconds / 1e9
        if not left_s:
            return math.inf
        return round((time.monotonic() + left_s - self.begin_s) / GRAIN_S) * GRAIN_S + self.begin_s

    def poll(self) -> None:
        if self.set_for_s() <= self.now_s:
            self._readable()


class Watched:
    """A timer, and what should ring when."""

    def __init__(self, within: list[Step]) -> None:
        self.loop = HandMovedLoop()
        self.timer = TimerfdTimer(cast(asyncio.AbstractEventLoop, self.loop))
        self.within = within
        self.armed_s = dict.fromkeys(range(ALARMS), math.inf)
        self.alarms: list[Alarm] = [self.timer.alarm(self._ringer(n)) for n in range(ALARMS)]

    def _ringer(self, number: int) -> Callable[[], None]:
        def rung() -> None:
            assert self.armed_s[number] <= self.loop.now_s, "rang early, or twice"
            self.armed_s[number] = math.inf
            if self.within:
                self.do(self.within.pop())

        return rung

    def do(self, step: Step) -> None:
        what, number, later = step
        if what == "disarm":
            self.alarms[number].disarm()
            self.armed_s[number] = math.inf
        else:
            self.armed_s[number] = self.loop.now_s + later * GRAIN_S
            self.alarms[number].arm(self.armed_s[number])

    def check(self) -> None:
        assert self.loop.set_for_s() <= min(self.armed_s.values())
        assert self.loop.errors == []


@given(
    steps=st.lists(st.one_of(STEP, st.just(("wait", 0, 1))), max_size=25),
    within=st.lists(STEP, max_size=12),
)
@settings(max_examples=60)
def test_the_kernels_timer_is_set_for_the_earliest(steps: list[Step], within: list[Step]) -> None:
    watched = Watched(within)
    try:
        for step in steps:
            if step[0] == "wait":
                watched.loop.now_s += GRAIN_S * step[2]
            else:
                watched.do(step)
            watched.check()
            watched.loop.poll()
            watched.check()
        watched.within.clear()
        watched.loop.now_s += 10 * GRAIN_S
        watched.loop.poll()
        assert set(watched.armed_s.values()) == {math.inf}, "everything rang in the end"
    finally:
        watched.timer.close()


class Heard:
    """The far end of a channel, which notes when messages came."""

    def __init__(self, timer: ManualTimer) -> None:
        self.timer, self.came_s = timer, list[float]()

    def arrived(self, items: list[Piece | Signal]) -> None:
        self.came_s += [self.timer.now()] * len(items)

    def sent(self) -> None:
        """There is always room."""


@given(
    pauses_ms=st.lists(st.integers(0, 300), min_size=1, max_size=30),
    others=st.lists(st.sampled_from(("none", "send", "drop", "hold")), min_size=30, max_size=30),
    late_ms=st.sampled_from((0, 3, 250)),
)
@settings(max_examples=60)
def test_a_message_on_an_idle_link_is_late_by_the_wake_up_alone(
    pauses_ms: list[int], others: list[str], late_ms: int
) -> None:
    """Whatever another connection of the device does meanwhile."""
    timer = ManualTimer()
    one = LinkParameters(2.5e6, 0.1)
    links = DeviceLinks(LinkPair(one, one), timer)
    heard, others_heard = Heard(timer), Heard(timer)
    channel = cast(Channel, links.up.channel(heard))
    frame_s = wire_bytes(100) / one.bytes_per_s
    due_s = []
    for pause_ms, what in zip(pauses_ms, others, strict=False):
        timer.advance(timer.now() + pause_ms / 1e3, late_ms / 1e3)
        other = cast(Channel, links.up.channel(others_heard))
        if what != "none":
            other.send(Phantom(100))
        channel.send(Phantom(100))
        due_s.append(timer.now() + one.delay_s)
        if what == "drop":
            other.drop()
        elif what == "hold":
            other.hold()
    timer.advance(timer.now() + 2.0, late_ms / 1e3)
    assert len(heard.came_s) == len(pauses_ms)
    most_s = 2 * len(pauses_ms) * frame_s + late_ms / 1e3 + 1e-9
    for came, due in zip(heard.came_s, due_s, strict=True):
        assert came - due <= most_s
        assert late_ms or came >= due + frame_s * 0.999  # a late one is made up for
    links.close()


def test_the_watch_sees_a_lost_alarm() -> None:
    """A timer that forgets to set the kernel's is caught."""
    watched = Watched([])
    watched.do(("arm", 0, 2))
    watched.check()
    watched.timer._program(math.inf)
    with pytest.raises(AssertionError):
        watched.check()
    watched.timer.close()
