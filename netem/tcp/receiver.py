"""The far end: puts segments in order, and acknowledges as Linux does (RFC 5681, 2018).

Every second segment is acknowledged, a single one after a while, and at once what comes out of
order, fills a hole, or is among the first of a connection.
"""

from collections import deque
from typing import NamedTuple

from netem.tcp.parameters import DELAYED_ACK_S, QUICK_ACKS

NO_SEGMENT = -1


class Ack(NamedTuple):
    """What the sender learns, and when: everything before `una` is there, and `beyond`, a later
    segment, is too (a selective acknowledgement)."""

    at_s: float
    una: int
    beyond: int


class Receiver:
    """`return_s`: how long an acknowledgement takes back to the sender."""

    def __init__(self, return_s: float, second_s: float) -> None:
        self.expected = 0
        """The first segment that is not there yet."""
        self.acks: deque[Ack] = deque()
        self._return_s = return_s
        self._patience_s = DELAYED_ACK_S * second_s
        self._early: set[int] = set()
        self._quick = QUICK_ACKS
        self._waiting_s: float | None = None

    def has(self, seq: int) -> bool:
        return seq < self.expected or seq in self._early

    def arrived(self, seq: int, at_s: float) -> None:
        """A segment is there, no earlier than any before it."""
        if self._waiting_s is not None and at_s > self._waiting_s + self._patience_s:
            self._acknowledge(self._waiting_s + self._patience_s)
        if seq != self.expected:
            if seq > self.expected:
                self._early.add(seq)
            self._acknowledge(at_s, seq)
            return
        self.expected += 1
        if self._early:
            while self.expected in self._early:
                self._early.remove(self.expected)
                self.expected += 1
            self._acknowledge(at_s)
        elif self._quick:
            self._quick -= 1
            self._acknowledge(at_s)
        elif self._waiting_s is None:
            self._waiting_s = at_s
        else:
            self._acknowledge(at_s)

    def next_ack_s(self) -> float | None:
        """When the sender hears next, if nothing more arrives here before."""
        if self.acks:
            return self.acks[0].at_s
        if self._waiting_s is not None:
            return self._waiting_s + self._patience_s + self._return_s
        return None

    def next_ack(self) -> Ack:
        """Take what the sender hears then."""
        if not self.acks and self._waiting_s is not None:
            self._acknowledge(self._waiting_s + self._patience_s)
        return self.acks.popleft()

    def _acknowledge(self, at_s: float, beyond: int = NO_SEGMENT) -> None:
        self._waiting_s = None
        self.acks.append(Ack(at_s + self._return_s, self.expected, beyond))
