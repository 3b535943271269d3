"""One direction of a device's link as a queue of packets: when each has left the wire and when it
arrives. Arithmetic with `now` passed in; knows no clock, no descriptor and no TCP.

Scheduled by absolute times: a packet starts when the wire is free, is sent after its bytes at the
link's rate, and is due after the delay; looking late changes nothing of that. What does not fit
into the queue is dropped as it comes (droptail), what the air loses is lost after its time on the
wire, and a delay that varies keeps the order unless reordering is asked for.
"""

import heapq
import math
from collections import deque
from random import Random
from typing import NamedTuple

from netem.packet.link import PacketLink

ETHERNET_BYTES = 14
"""What a packet has on the wire beyond its IP length: what the kernel's own shapers count."""


class Held(NamedTuple):
    """A packet on its way. `continues`: it followed the one before without a gap."""

    due_s: float
    order: int
    wire_bytes: int
    continues: bool
    packet: bytes


class PacketQueue:
    """Laws: packets start in the order in which they came, two are never on the wire together,
    and what waits for the wire never exceeds the limit (but for one packet on an idle wire).

    `begin_s` is when the link began: what varies is counted from there. Inside all times are, so
    that a trace's instants are met exactly.
    """

    def __init__(self, link: PacketLink, random: Random | None = None, begin_s: float = 0) -> None:
        self.link = link
        self.dropped = 0
        self.lost = 0
        self._random = random or Random()
        self.begin_s = begin_s
        self._course = None if link.variation is None else link.variation.course()
        self._wire = None if link.varying is None else link.varying.wire()
        self._s_per_byte = 1 / link.bytes_per_s
        self._limit_bytes = link.limit_bytes
        self._plain = not (link.variation or link.loss or link.reorder)
        self._free_s = -math.inf
        self._due_s = -math.inf
        self._order = 0
        self._waiting: deque[tuple[float, int]] = deque()
        self._waiting_bytes = 0
        self._straight: deque[Held] = deque()
        self._late: list[Held] = []

    def offer(self, packet: bytes, now_s: float) -> bool:
        """Take a packet that came at `now_s`; False if it is dropped or will be lost."""
        now_s -= self.begin_s
        wire_bytes = len(packet) + ETHERNET_BYTES
        waiting = self._waiting
        while waiting and waiting[0][0] <= now_s:
            self._waiting_bytes -= waiting.popleft()[1]
        continues = self._free_s >= now_s
        if continues and self._waiting_bytes + wire_bytes > self._limit_bytes:
            self.dropped += 1
            return False
        start_s = self._free_s if continues else now_s
        if self._wire is None:
            sent_s = start_s + wire_bytes * self._s_per_byte
        elif (sent_s := self._wire.send(wire_bytes, start_s)) == math.inf:
            self.dropped += 1  # the trace is over: nothing goes any more
            return False
        self._free_s = sent_s
        waiting.append((sent_s, wire_bytes))
        self._waiting_bytes += wire_bytes
        self._order += 1
        due_s = self.begin_s + sent_s + self.link.delay_s
        held = Held(due_s, self._order, wire_bytes, continues, packet)
        if self._plain:
            self._straight.append(held)
            return True
        return self._impaired(held, sent_s)

    def next_s(self) -> float:
        """When the next packet arrives; `inf` if none is on its way."""
        straight_s = self._straight[0].due_s if self._straight else math.inf
        return min(straight_s, self._late[0].due_s) if self._late else straight_s

    def take(self, now_s: float) -> Held | None:
        """The next packet that has arrived by `now_s`, in the order of arrival."""
        straight, late = self._straight, self._late
        if late and late[0].due_s <= now_s and not (straight and straight[0] < late[0]):
            return heapq.heappop(late)
        return straight.popleft() if straight and straight[0].due_s <= now_s else None

    def _impaired(self, held: Held, sent_s: float) -> bool:
        link, draw = self.link, self._random.random
        if link.loss and draw() < link.loss:
            self.lost += 1
            return False
        if self._course is not None:
            due_s = held.due_s + self._course.extra_s(sent_s)
            self._due_s = max(self._due_s, due_s)
            held = held._replace(due_s=self._due_s)
        if link.reorder and draw() < link.reorder:
            heapq.heappush(self._late, held._replace(due_s=held.due_s + link.reorder_s))
        else:
            self._straight.append(held)
        return True
