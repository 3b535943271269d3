"""The loop that plays links: packets in from one TUN device, held, out at the other on time.

Written for lateness: no event loop, no thread, one timerfd, few objects. Knows no namespace and
nobody who asks for links.
"""

import heapq
import math
import os
import select
import time
from collections.abc import Callable
from typing import NamedTuple

from netem.fidelity import BusyPeriod, FidelityMeter
from netem.packet.gauges import Gauges
from netem.packet.queue import PacketQueue
from netem.packet.waiting import Waiting
from netem.timerfd import Timerfd

_PACKET_BYTES = 2048
_BURST = 64
"""Packets read of one device at a time: what is due elsewhere waits no longer than these take."""


class Ends(NamedTuple):
    """Descriptors of the TUN devices that a direction reads from and writes to."""

    source: int
    sink: int


class Direction:
    """One direction of one device."""

    def __init__(
        self, ends: Ends, queue: PacketQueue, meter: FidelityMeter, words: tuple[int, int]
    ) -> None:
        """`words`: where its bytes and its lateness are counted."""
        self.ends = ends
        self.queue = queue
        self.armed_s: float | None = None
        self._meter = meter
        self._busy = BusyPeriod(meter)
        self._bytes_word, self._late_word = words
        self._held_up_s = -math.inf

    def read(self, came_s: float) -> None:
        """What waits at the source, or a burst of it; the first of it came at `came_s`."""
        source, offer, now = self.ends.source, self.queue.offer, time.monotonic
        try:
            offer(os.read(source, _PACKET_BYTES), came_s)
            for _ in range(_BURST - 1):
                offer(os.read(source, _PACKET_BYTES), now())
        except BlockingIOError:
            return

    def release(self, gauges: Gauges) -> None:
        """Write everything that is due by now."""
        take, sink = self.queue.take, self.ends.sink
        now_s = time.monotonic()
        late_s = 0.0
        while (held := take(now_s)) is not None:
            try:
                os.write(sink, held.packet)
            except OSError:  # the kernel has no room or dislikes the packet: it is lost there
                self.queue.lost += 1
            late_s = now_s - held.due_s
            self._meter.released(late_s)
            self._busy.released(held.due_s, now_s, held.continues)
            gauges.add(self._bytes_word, held.wire_bytes)
            now_s = time.monotonic()
        if self.queue.next_s() == math.inf and now_s >= self._held_up_s + self.queue.link.delay_s:
            # Nothing follows: whoever waits for what came last waited so much longer. TCP goes on
            # from there once in a round trip, however many of its packets were late.
            self._held_up_s = now_s
            gauges.add(self._late_word, int(late_s * 1e9))


class Emulator:
    """All directions of a process. `watch` adds descriptors of its owner's."""

    def __init__(self, gauges: Gauges, wake_up_s: float) -> None:
        self._gauges = gauges
        self._waiting = Waiting(wake_up_s)
        self._directions: dict[int, Direction] = {}
        self._watched: dict[int, Callable[[], bool]] = {}
        self._heap: list[tuple[float, int]] = []
        self._timer = Timerfd()
        self._poll = select.epoll()
        self._poll.register(self._timer.descriptor, select.EPOLLIN)

    def add(self, direction: Direction) -> None:
        source = direction.ends.source
        self._directions[source] = direction
        self._poll.register(source, select.EPOLLIN)

    def watch(self, descriptor: int, ready: Callable[[], bool]) -> None:
        """Call `ready` when the descriptor can be read; the loop ends when it says False."""
        self._watched[descriptor] = ready
        self._poll.register(descriptor, select.EPOLLIN)

    def run(self) -> None:
        while True:
            events, came_s = self._wait()
            for descriptor, _ in events:
                direction = self._directions.get(descriptor)
                if direction is not None:
                    direction.read(came_s)
                    self._arm(direction)
                elif descriptor in self._watched and not self._watched[descriptor]():
                    return
            self._release()

    def _wait(self) -> tuple[list[tuple[int, int]], float]:
        """What can be read, and when that came."""
        now, heap, waiting = time.monotonic, self._heap, self._waiting
        now_s = now()
        due_s = heap[0][0] if heap else math.inf
        wake_s = waiting.wake_at(due_s, now_s)
        if wake_s > now_s:
            self._timer.set(wake_s)
            events = self._poll.poll()
            woken_s = now()
            if any(descriptor == self._timer.descriptor for descriptor, _ in events):
                waiting.woken_by_timer(woken_s - wake_s)
                return events, woken_s
            return events, waiting.came_s(now_s, woken_s)
        events = self._poll.poll(0)
        woken_s = now()
        if due_s > now_s:
            waiting.stayed_awake(woken_s - now_s)
        return events, woken_s

    def _arm(self, direction: Direction) -> None:
        """See to it that the direction is looked at when its next packet is due."""
        next_s = direction.queue.next_s()
        armed_s = direction.armed_s
        if next_s < float("inf") and (armed_s is None or next_s < armed_s):
            direction.armed_s = next_s
            heapq.heappush(self._heap, (next_s, direction.ends.source))

    def _release(self) -> None:
        heap = self._heap
        while heap and heap[0][0] <= time.monotonic():
            when_s, source = heapq.heappop(heap)
            direction = self._directions[source]
            if when_s == direction.armed_s:
                direction.armed_s = None
                direction.release(self._gauges)
                self._arm(direction)
