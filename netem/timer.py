"""The seam to time: alarms that ring at an absolute instant of the loop's clock.

`loop.call_at` rings about 0.65 ms late, because epoll waits in whole milliseconds; one timerfd
for all alarms of a loop rings 0.05 ms late. Nothing here spins, and nothing here knows what the
alarms are for. `ManualTimer` is the double: its clock moves when told.
"""

import asyncio
import heapq
import math
import sys
import time
from collections.abc import Callable
from typing import Protocol

from netem.timerfd import Timerfd


class Alarm(Protocol):
    """Rings once for each time it is armed; arming again replaces what was armed before."""

    def arm(self, when_s: float) -> None: ...

    def disarm(self) -> None: ...


class Timer(Protocol):
    def now(self) -> float: ...

    def alarm(self, ring: Callable[[], None]) -> Alarm: ...

    def close(self) -> None:
        """No alarm rings any more."""
        ...


async def sleep_until(timer: Timer, when_s: float) -> None:
    """Return at `when_s` or, if that has passed, at once."""
    if when_s <= timer.now():
        return
    rung = asyncio.get_running_loop().create_future()
    alarm = timer.alarm(lambda: None if rung.done() else rung.set_result(None))
    alarm.arm(when_s)
    try:
        await rung
    finally:
        alarm.disarm()


class _QueuedAlarm:
    """An alarm in a heap; entries it has since left are told by `when_s`."""

    __slots__ = ("_queue", "ring", "when_s")

    def __init__(self, queue: "_AlarmQueue", ring: Callable[[], None]) -> None:
        self._queue = queue
        self.ring = ring
        self.when_s = math.inf

    def arm(self, when_s: float) -> None:
        if when_s == self.when_s:
            return
        self.when_s = when_s
        if when_s < math.inf:
            self._queue.push(self)

    def disarm(self) -> None:
        self.when_s = math.inf


class _AlarmQueue:
    def __init__(self, pushed: Callable[[float], None]) -> None:
        self._heap: list[tuple[float, int, _QueuedAlarm]] = []
        self._count = 0
        self._pushed = pushed

    def push(self, alarm: _QueuedAlarm) -> None:
        self._count += 1  # alarms of one instant ring in the order in which they were armed
        heapq.heappush(self._heap, (alarm.when_s, self._count, alarm))
        self._pushed(alarm.when_s)

    def next_s(self) -> float:
        while self._heap and self._heap[0][2].when_s != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else math.inf

    def pop(self) -> _QueuedAlarm:
        alarm = heapq.heappop(self._heap)[2]
        alarm.when_s = math.inf
        return alarm

    def clear(self) -> None:
        self._heap.clear()


class TimerfdTimer:
    """All alarms of a loop on one timerfd (Linux; os.timerfd_create exists only from 3.13)."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timerfd = Timerfd()
        self._queue = _AlarmQueue(self._armed)
        self._programmed_s = math.inf
        self._ringing = False
        try:
            loop.add_reader(self._timerfd.descriptor, self._ring)
        except NotImplementedError:
            self._timerfd.close()
            raise

    def now(self) -> float:
        return self._loop.time()

    def alarm(self, ring: Callable[[], None]) -> Alarm:
        return _QueuedAlarm(self._queue, ring)

    def close(self) -> None:
        if self._timerfd.descriptor >= 0:
            self._loop.remove_reader(self._timerfd.descriptor)
            self._timerfd.close()
            self._queue.clear()

    def _armed(self, when_s: float) -> None:
        if when_s < self._programmed_s and not self._ringing:
            self._program(when_s)

    def _ring(self) -> None:
        """Ring what was due when this began: what falls due meanwhile rings after the loop has
        looked after its sockets, so that an overloaded loop still reads and writes."""
        now_s, self._ringing = self._loop.time(), True
        while self._queue.next_s() <= now_s:
            try:
                self._queue.pop().ring()
            except Exception as error:  # as the loop does for any callback: report, go on
                self._loop.call_exception_handler({"message": "alarm failed", "exception": error})
        self._ringing = False
        self._program(self._queue.next_s())

    def _program(self, when_s: float) -> None:
        if self._timerfd.descriptor >= 0:
            self._programmed_s = when_s
            self._timerfd.set(when_s)


class _LoopAlarm:
    def __init__(
        self, loop: asyncio.AbstractEventLoop, armed: "set[_LoopAlarm]", ring: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._armed = armed
        self._ring = ring
        self._when_s = math.inf
        self._handle: asyncio.TimerHandle | None = None

    def arm(self, when_s: float) -> None:
        if when_s == self._when_s:
            return
        self.disarm()
        if when_s < math.inf:
            self._when_s = when_s
            self._handle = self._loop.call_at(when_s, self._rung)
            self._armed.add(self)

    def disarm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._armed.discard(self)
        self._handle, self._when_s = None, math.inf

    def _rung(self) -> None:
        self._handle, self._when_s = None, math.inf
        self._armed.discard(self)
        self._ring()


class LoopTimer:
    """Alarms by `loop.call_at`: for any loop, and exact on one whose clock is virtual."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._armed: set[_LoopAlarm] = set()
        self.now = loop.time

    def alarm(self, ring: Callable[[], None]) -> Alarm:
        return _LoopAlarm(self._loop, self._armed, ring)

    def close(self) -> None:
        for alarm in list(self._armed):
            alarm.disarm()


class ManualTimer:
    """The double: time stands still until `advance`."""

    def __init__(self, now_s: float = 0.0) -> None:
        self._now_s = now_s
        self._queue = _AlarmQueue(lambda when_s: None)

    def now(self) -> float:
        return self._now_s

    def alarm(self, ring: Callable[[], None]) -> Alarm:
        return _QueuedAlarm(self._queue, ring)

    def next_s(self) -> float:
        """When the next alarm rings."""
        return self._queue.next_s()

    def advance(self, until_s: float, late_s: float = 0.0) -> None:
        """Ring everything due until then, in order, each `late_s` after its time."""
        while self._queue.next_s() + late_s <= until_s:
            self._now_s = max(self._now_s, self._queue.next_s() + late_s)
            self._queue.pop().ring()
        self._now_s = max(self._now_s, until_s)

    def close(self) -> None:
        self._queue.clear()


def timer_for(loop: asyncio.AbstractEventLoop) -> Timer:
    """The most exact timer this loop can have. A loop whose clock is not the system's monotonic
    one (a virtual clock) gets `LoopTimer`, which follows whatever clock it has."""
    if sys.platform == "linux" and abs(loop.time() - time.monotonic()) < 1.0:
        try:
            return TimerfdTimer(loop)
        except (OSError, AttributeError, NotImplementedError):
            return LoopTimer(loop)  # no timerfd here, or a loop without add_reader
    return LoopTimer(loop)
