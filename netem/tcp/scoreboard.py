"""What a sender knows of its segments on the way: delivered, in flight, or lost (RFC 6675, and
RACK of RFC 8985: what was sent before something that has arrived, and is not there, is overdue).

Loss is noticed by the order of sending, so that lost retransmissions are noticed as well.

What a large window sends at once may be one `Segment` of several real ones, as a kernel's
segmentation offload hands them on: it is numbered once and counts as many.
"""

import heapq
from collections import deque

from netem.link import FRAMING_BYTES

IN_FLIGHT, DELIVERED, LOST = range(3)


class Segment:
    """`count` real ones. `turn` numbers transmissions: a retransmission gets a new one."""

    __slots__ = (
        "again", "count", "gone", "payload_bytes", "sent_s", "seq", "state", "turn", "wire_bytes"
    )  # fmt: skip

    def __init__(self, seq: int, payload_bytes: int, count: int) -> None:
        self.seq = seq
        self.payload_bytes = payload_bytes
        self.count = count
        self.wire_bytes = payload_bytes + count * FRAMING_BYTES
        self.state = IN_FLIGHT
        self.again = False
        """Whether it was retransmitted."""
        self.gone = False
        """Whether the network lost it: the sender does not know, but its model may."""
        self.sent_s = 0.0
        self.turn = 0


class Scoreboard:
    def __init__(self) -> None:
        self.una = self.nxt = 0
        """The first segment that is not acknowledged; the next to be sent."""
        self.segments: dict[int, Segment] = {}
        self.out = 0
        """Sent and not acknowledged: like all that follows, in real segments."""
        self.in_flight = 0
        self.ahead = 0
        """Delivered beyond the first hole."""
        self.latest: Segment | None = None
        """Of all delivered, the one sent last."""
        self.overdue: list[Segment] = []
        """Overtaken by something that was sent later; lost, or only late."""
        self._order: deque[tuple[int, Segment]] = deque()
        self._lost: list[int] = []
        self._turns = 0

    def sent(self, segment: Segment, now_s: float) -> None:
        """It goes into the network, for the first time or again."""
        self._turns += 1
        segment.turn, segment.sent_s, segment.state = self._turns, now_s, IN_FLIGHT
        self.in_flight += segment.count
        self._order.append((segment.turn, segment))

    def new(self, payload_bytes: int, count: int) -> Segment:
        segment = self.segments[self.nxt] = Segment(self.nxt, payload_bytes, count)
        self.nxt += 1
        self.out += count
        return segment

    def acknowledged(self, una: int) -> list[Segment]:
        """Everything before `una` has arrived: those of which this is news."""
        news = []
        for seq in range(self.una, una):
            segment = self.segments.pop(seq)
            self.out -= segment.count
            if segment.state == DELIVERED:
                self.ahead -= segment.count
            else:
                news.append(segment)
                self._delivered(segment)
        self.una = max(self.una, una)
        return news

    def selected(self, seq: int) -> Segment | None:
        """One beyond a hole has arrived; None if that is no news."""
        segment = self.segments.get(seq)
        if segment is None or segment.state == DELIVERED:
            return None
        self._delivered(segment)
        self.ahead += segment.count
        return segment

    def _delivered(self, segment: Segment) -> None:
        if segment.state == IN_FLIGHT:
            self.in_flight -= segment.count
        segment.state = DELIVERED
        if self.latest is None or segment.turn > self.latest.turn:
            self.latest = segment
        self._overtake()

    def _overtake(self) -> None:
        order, turn = self._order, self.latest.turn if self.latest else 0
        while order and order[0][0] <= turn:
            of, segment = order.popleft()
            if segment.state == IN_FLIGHT and segment.turn == of:
                self.overdue.append(segment)

    def give_up_overdue(self) -> int:
        """Take what is overdue for lost; how many."""
        lost = [s for s in self.overdue if s.state == IN_FLIGHT]
        self.overdue.clear()
        for segment in lost:
            self._lose(segment)
        return sum(segment.count for segment in lost)

    def give_up_all(self) -> None:
        """Take everything not delivered for lost (the timer ran out)."""
        self.overdue.clear()
        self._order.clear()
        for segment in self.segments.values():
            if segment.state == IN_FLIGHT:
                self._lose(segment)

    def _lose(self, segment: Segment) -> None:
        segment.state = LOST
        self.in_flight -= segment.count
        heapq.heappush(self._lost, segment.seq)

    def next_lost(self) -> Segment | None:
        """The first that is lost and not yet sent again; it stays until `sent`."""
        while self._lost:
            segment = self.segments.get(self._lost[0])
            if segment is not None and segment.state == LOST:
                return segment
            heapq.heappop(self._lost)
        return None
