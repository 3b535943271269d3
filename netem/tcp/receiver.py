"""The far end: puts segments in order, and acknowledges as Linux does (RFC 5681, 2018).

Every second segment is acknowledged, a single one after a while; at once the first ones of a
connection, those that let the receive window grow, and what fills a hole. What comes out of order
is acknowledged at once three times, then in batches of a millisecond.
"""

import math
from collections import deque
from typing import NamedTuple

from netem.tcp.parameters import DELAYED_ACK_S, QUICK_ACKS
from netem.tcp.window import ReceiveWindow

_AT_ONCE = 3
_BATCH_S = 0.001
_BATCH_RTTS = 0.05
_BATCH_MOST = 44


class Ack(NamedTuple):
    """What the sender learns, and when: everything before `una` is there, and so are `beyond`,
    later ones (a selective acknowledgement)."""

    at_s: float
    una: int
    beyond: tuple[int, ...]


class Receiver:
    """`return_s`: how long an acknowledgement takes back to the sender; `rtt_s`: there and back
    on an idle link."""

    def __init__(self, return_s: float, rtt_s: float, second_s: float) -> None:
        self.expected = 0
        """The first segment that is not there yet."""
        self.acks: deque[Ack] = deque()
        self._return_s = return_s
        self._patience_s = DELAYED_ACK_S * second_s
        self._batch_s = min(_BATCH_S * second_s, _BATCH_RTTS * rtt_s)
        self._window = ReceiveWindow(rtt_s)
        self._early: set[int] = set()
        self._quick = QUICK_ACKS
        self._news: list[int] = []
        self._at_once = 0
        self._answer_s = math.inf
        """When it acknowledges what it has not yet, if nothing more arrives before."""

    def has(self, seq: int) -> bool:
        return seq < self.expected or seq in self._early

    def arrived(self, seq: int, at_s: float, count: int = 1) -> None:
        """A segment is there, no earlier than any before it; or several that went as one."""
        if at_s > self._answer_s:
            self._acknowledge(self._answer_s)
        if seq == self.expected:
            self._in_order(at_s, count)
        else:
            self._out_of_order(seq, at_s)

    def _in_order(self, at_s: float, count: int) -> None:
        self.expected += 1
        self._at_once = 0
        grows = self._window.grows(at_s, count)
        if self._early:
            while self.expected in self._early:
                self._early.remove(self.expected)
                self.expected += 1
            self._acknowledge(at_s)
        elif self._quick:
            self._quick -= 1
            self._acknowledge(at_s)
        elif grows or count > 1 or self._answer_s < math.inf:
            self._acknowledge(at_s)
        else:
            self._answer_s = at_s + self._patience_s

    def _out_of_order(self, seq: int, at_s: float) -> None:
        if seq > self.expected:
            self._early.add(seq)
            self._news.append(seq)
        if self._at_once < _AT_ONCE or seq < self.expected or len(self._news) > _BATCH_MOST:
            self._at_once += 1
            self._acknowledge(at_s)
        else:
            self._answer_s = min(self._answer_s, at_s + self._batch_s)

    def next_ack_s(self) -> float:
        """When the sender hears next, if nothing more arrives here before."""
        return self.acks[0].at_s if self.acks else self._answer_s + self._return_s

    def next_ack(self) -> Ack:
        """Take what the sender hears then."""
        if not self.acks:
            self._acknowledge(self._answer_s)
        return self.acks.popleft()

    def _acknowledge(self, at_s: float) -> None:
        self.acks.append(Ack(at_s + self._return_s, self.expected, tuple(self._news)))
        self._answer_s = math.inf
        if self._news:
            self._news.clear()
