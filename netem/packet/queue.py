"""One direction of a device's link as a queue of packets: when each has left the wire and when it
arrives. Arithmetic with `now` passed in; knows no clock, no descriptor and no TCP.

Scheduled by absolute times: a packet starts when the wire is free, is sent after its bytes at the
link's rate, and is due after the delay; looking late changes nothing of that. What does not fit
into the queue is dropped as it comes (droptail), what the air loses is lost after its time on the
wire, and jitter keeps the order unless reordering is asked for.
"""

import heapq
import math
from collections import deque
from dataclasses import asdict, dataclass
from random import Random
from typing import Any, NamedTuple, Self

ETHERNET_BYTES = 14
"""What a packet has on the wire beyond its IP length: what the kernel's own shapers count."""
LEAST_QUEUE_BYTES = 30 * 1514
"""No link queues less than a few bursts of a sender: 30 full frames."""
LEAST_QUEUE_S = 0.1
"""Nor less than so much of its rate: access links queue 100 ms and more (Gettys & Nichols,
"Bufferbloat", 2011)."""


class PacketLinkError(ValueError):
    """A link was asked for that cannot exist."""


@dataclass(frozen=True, slots=True)
class PacketLink:
    """One direction. `bytes_per_s` counts framing, `delay_s` is one way.

    Jitter is normal with standard deviation `jitter_s` around the delay, correlated over
    `jitter_memory_s` (Ornstein-Uhlenbeck), never below a delay of zero. A packet is lost with
    probability `loss`, and arrives `reorder_s` later than its place with probability `reorder`.
    """

    bytes_per_s: float
    delay_s: float
    queue_bytes: int | None = None
    """What waits for the wire at most; by default the rate times the longer of a round trip and
    `LEAST_QUEUE_S`."""
    jitter_s: float = 0.0
    jitter_memory_s: float = 0.05
    loss: float = 0.0
    reorder: float = 0.0
    reorder_s: float = 0.0

    def __post_init__(self) -> None:
        for key, value in self.to_mapping().items():
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise PacketLinkError(f"{key}: must be finite and not negative, not {value}")
        for key, positive in (
            ("bytes_per_s", self.bytes_per_s),
            ("jitter_memory_s", self.jitter_memory_s),
            ("queue_bytes", self.limit_bytes),
        ):
            if positive <= 0:
                raise PacketLinkError(f"{key}: must be positive, not {positive}")
        for key, probability in (("loss", self.loss), ("reorder", self.reorder)):
            if probability >= 1:
                raise PacketLinkError(f"{key}: must be below 1, not {probability}")

    @property
    def limit_bytes(self) -> int:
        if self.queue_bytes is not None:
            return self.queue_bytes
        wait_s = max(LEAST_QUEUE_S, 2 * self.delay_s)
        return max(LEAST_QUEUE_BYTES, math.ceil(self.bytes_per_s * wait_s))

    def to_mapping(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_mapping(cls, values: dict[str, Any]) -> Self:
        return cls(**values)


class Held(NamedTuple):
    """A packet on its way. `continues`: it followed the one before without a gap."""

    due_s: float
    order: int
    wire_bytes: int
    continues: bool
    packet: bytes


class PacketQueue:
    """Laws: packets start in the order in which they came, two are never on the wire together,
    and what waits for the wire never exceeds the limit (but for one packet on an idle wire)."""

    def __init__(self, link: PacketLink, random: Random | None = None) -> None:
        self.link = link
        self.dropped = 0
        self.lost = 0
        self._random = random or Random()
        self._s_per_byte = 1 / link.bytes_per_s
        self._limit_s = link.limit_bytes / link.bytes_per_s
        self._plain = not (link.jitter_s or link.loss or link.reorder)
        self._free_s = -math.inf
        self._due_s = -math.inf
        self._order = 0
        self._straight: deque[Held] = deque()
        self._late: list[Held] = []
        self._jitter = _Jitter(link.jitter_s, link.jitter_memory_s, self._random)

    def offer(self, packet: bytes, now_s: float) -> bool:
        """Take a packet that came at `now_s`; False if it is dropped or will be lost."""
        wire_bytes = len(packet) + ETHERNET_BYTES
        free_s = self._free_s
        continues = free_s >= now_s
        if not continues:
            free_s = now_s
        sent_s = free_s + wire_bytes * self._s_per_byte
        if continues and sent_s - now_s > self._limit_s:
            self.dropped += 1
            return False
        self._free_s = sent_s
        self._order += 1
        due_s = sent_s + self.link.delay_s
        if self._plain:
            self._straight.append(Held(due_s, self._order, wire_bytes, continues, packet))
            return True
        return self._impaired(Held(due_s, self._order, wire_bytes, continues, packet), sent_s)

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
        if link.jitter_s:
            due_s = sent_s + max(0.0, link.delay_s + self._jitter.at(sent_s))
            self._due_s = max(self._due_s, due_s)
            held = held._replace(due_s=self._due_s)
        if link.reorder and draw() < link.reorder:
            heapq.heappush(self._late, held._replace(due_s=held.due_s + link.reorder_s))
        else:
            self._straight.append(held)
        return True


class _Jitter:
    """An Ornstein-Uhlenbeck process, exact at the instants asked for."""

    def __init__(self, spread_s: float, memory_s: float, random: Random) -> None:
        self._spread_s = spread_s
        self._memory_s = memory_s
        self._random = random
        self._at_s = -math.inf
        self._value_s = 0.0

    def at(self, when_s: float) -> float:
        kept = math.exp((self._at_s - when_s) / self._memory_s)
        fresh = self._spread_s * math.sqrt(1 - kept * kept)
        self._value_s = kept * self._value_s + fresh * self._random.gauss(0, 1)
        self._at_s = when_s
        return self._value_s
