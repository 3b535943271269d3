"""One TCP sender: what it puts into the queue of the bottleneck, and when.

Follows Linux: a window grown by acknowledgements (`netem.tcp.congestion`), SACK recovery with
proportional rate reduction (RFC 6937), tail loss probes (RFC 8985), a retransmission timer (RFC
6298), and a window that shrinks while a connection is idle (RFC 9293, 3.8.6). Sizes only, no
contents. Timers run only while something is lost: without a loss none would ever go off first,
except in vain.
"""

import math
from collections import deque

from netem.link import SEGMENT_BYTES
from netem.tcp.bottleneck import Bottleneck
from netem.tcp.congestion import CONTROLS
from netem.tcp.parameters import INITIAL_WINDOW, SOCKET_BUFFER_BYTES, TcpParameters
from netem.tcp.receiver import Ack, Receiver
from netem.tcp.rtt import RoundTrips
from netem.tcp.scoreboard import DELIVERED, Scoreboard, Segment

_MOST_IN_FLIGHT = SOCKET_BUFFER_BYTES // SEGMENT_BYTES
_DUPLICATES = 3
_PROBE_SLACK_S = 0.008  # two jiffies at 250 Hz
_GRAINS = 32
"""A window's segments go in this many pieces at least, unless the queue keeps the wire busy for
twice as long as a piece: no acknowledgement comes later than by a 32nd of a round trip, or than
the wire needs it."""
OPEN, RECOVERY, TIMED_OUT = range(3)


class TcpSender:
    """`return_s`: from a segment's arrival to the sender's knowing; `rtt_s`: what the connection's
    handshake took, unless this is one. `grain`: how many segments at most may go as one."""

    def __init__(
        self,
        parameters: TcpParameters,
        bottleneck: Bottleneck,
        return_s: float,
        rtt_s: float,
        *,
        grain: int = 1,
        handshake: bool = False,
    ) -> None:
        self.entered: deque[tuple[float, Segment]] = deque()
        """What waits for the wire, with the time since when."""
        self.control = CONTROLS[parameters.congestion_control](parameters.second_s)
        self.state = OPEN
        self.board = Scoreboard()
        self.receiver = Receiver(return_s, rtt_s, parameters.second_s)
        self.unsent_bytes = 0
        self.held = False
        self.dropped = 0
        """Segments that found the queue full."""
        self._grain = grain
        self._second_s = parameters.second_s
        self._bottleneck = bottleneck
        self._runs: deque[int] = deque()
        self._trips = RoundTrips(parameters.second_s)
        if not handshake:
            self._trips.measured(rtt_s)
            self._trips.least_s = math.inf
        self._gone = 0
        self._last_sent_s = -math.inf
        self._limited, self._limit_end, self._most_out = False, 0, 0
        self._recover = 0
        self._window_before = self._sent_since = self._delivered_since = 0
        self._timer_s = self._probe_from_s = -math.inf
        self._probed: int | None = None

    # The application's side.

    def offer(self, payload_bytes: int, now_s: float) -> None:
        """So much more to send; 0 for a signal, which takes a bare segment."""
        if not self.board.segments and not self._runs:
            self._resume(now_s)
        if payload_bytes and self._runs and self._runs[-1]:
            self._runs[-1] += payload_bytes
        else:
            self._runs.append(payload_bytes)
        self.unsent_bytes += payload_bytes
        self._transmit(now_s)

    def hold(self) -> None:
        self.held = True

    def unhold(self, now_s: float) -> None:
        self.held = False
        self._transmit(now_s)

    # The network's side.

    @property
    def waiting_bytes(self) -> int:
        """Wire bytes in the queue."""
        return sum(segment.wire_bytes for _, segment in self.entered)

    def lost(self, segment: Segment) -> None:
        """The network lost it."""
        if not self.receiver.has(segment.seq) and not segment.gone:
            segment.gone = True
            self._gone += 1

    def next_event_s(self) -> float:
        """When it has something to do; never, if nothing is to be sent and nothing is lost."""
        if not self._gone and (not self._runs or self.held) and not self.board.next_lost():
            return math.inf
        ack_s = self.receiver.next_ack_s()
        return min(ack_s, self._deadline()[0]) if self._gone else ack_s

    def step(self) -> None:
        if self.receiver.next_ack_s() <= self.next_event_s():
            self._acknowledged(self.receiver.next_ack())
        else:
            self._expired(*self._deadline())

    def catch_up(self, now_s: float) -> None:
        """Take in the acknowledgements that came while there was nothing to do."""
        while self.receiver.next_ack_s() <= now_s:
            self._acknowledged(self.receiver.next_ack())

    # Sending.

    def _transmit(self, now_s: float) -> None:
        board, control = self.board, self.control
        sent, waits = 0, False
        while (room := control.window - board.in_flight) > 0:
            segment = board.next_lost()
            if segment is None:
                if not self._runs or self.held or board.out >= _MOST_IN_FLIGHT:
                    break
                count = self._as_one(room, now_s)
                if not count:
                    waits = True
                    break
                segment = self._next_new(count, now_s)
            else:
                segment.again = True
            self._send(segment, now_s)
            sent += segment.count
        self._sent_since += sent
        limited = waits or board.in_flight >= control.window
        out = board.out
        if board.una >= self._limit_end or limited or (not self._limited and out > self._most_out):
            self._limited, self._most_out, self._limit_end = limited, out, board.nxt

    def _as_one(self, room: int, now_s: float) -> int:
        """How many segments go as one now; 0: they wait for more, the wire being busy meanwhile."""
        if self._grain == 1 or self.state != OPEN:
            return 1
        waiting, space = self._bottleneck.backlog_segments(now_s)
        wanted = min(self._grain, -(-self._runs[0] // SEGMENT_BYTES), space)
        control = self.control
        least = control.window // _GRAINS
        if control.window >= control.threshold and 4 * wanted <= space:
            if room < wanted <= waiting // 2 and self.board.in_flight:
                return 0
            least = max(least, waiting // 2)
        return max(1, min(wanted, room, least))

    def _next_new(self, count: int, now_s: float) -> Segment:
        run = self._runs[0]
        payload_bytes = min(run, count * SEGMENT_BYTES)
        if run == payload_bytes:
            self._runs.popleft()
        else:
            self._runs[0] = run - payload_bytes
        self.unsent_bytes -= payload_bytes
        if not self.board.segments:
            self._timer_s = now_s
        self._probe_from_s = now_s
        return self.board.new(payload_bytes, count)

    def _send(self, segment: Segment, now_s: float) -> None:
        if segment.seq == self.board.una:
            self._timer_s = now_s
        if segment.gone:
            segment.gone = False
            self._gone -= 1
        self._last_sent_s = now_s
        self.board.sent(segment, now_s)
        if self._bottleneck.admit(segment.wire_bytes, now_s):
            self.entered.append((now_s, segment))
        else:
            self.dropped += segment.count
            self.lost(segment)

    def _resume(self, now_s: float) -> None:
        """After an idle time: half the window for each timeout that went by."""
        idle_s, control = now_s - self._last_sent_s, self.control
        if idle_s == math.inf:
            return
        timeout_s = self._trips.timeout_s
        if idle_s > timeout_s:
            control.threshold = max(control.threshold, control.window * 3 // 4)
            while (idle_s := idle_s - timeout_s) > 0 and control.window > INITIAL_WINDOW:
                control.window = max(control.window // 2, min(control.window, INITIAL_WINDOW))
        control.resumed(now_s - self._last_sent_s)

    # Acknowledgements.

    def _acknowledged(self, ack: Ack) -> None:
        board, now_s = self.board, ack.at_s
        advanced = ack.una > board.una
        news = board.acknowledged(ack.una)
        news += [s for seq in ack.beyond if (s := board.selected(seq)) is not None]
        delivered = sum(segment.count for segment in news)
        if advanced:
            self._timer_s = self._probe_from_s = now_s
        self._measure(news, now_s)
        lost = self._notice_losses()
        self._settle(now_s)
        if self.state == RECOVERY:
            self._reduce(delivered, lost, advanced)
        elif advanced and (self._limited or self._may_grow_anyway()):
            self.control.acknowledged(delivered, now_s)
        self._transmit(now_s)

    def _may_grow_anyway(self) -> bool:
        """In slow start the window may be twice what is used."""
        window = self.control.window
        return window < self.control.threshold and window < 2 * self._most_out

    def _measure(self, news: list[Segment], now_s: float) -> None:
        """The first gives the timer's round trip, the last the control's (as in Linux)."""
        for segment in news:
            if segment.gone:  # spurious: it had arrived by an earlier way
                segment.gone = False
                self._gone -= 1
        timed = [segment for segment in news if not segment.again]
        if timed:
            self._trips.measured(now_s - timed[0].sent_s)
            board = self.board
            self.control.timed(now_s, now_s - timed[-1].sent_s, board.una, board.nxt)

    def _notice_losses(self) -> int:
        board = self.board
        if not board.overdue or (self.state == OPEN and board.ahead < _DUPLICATES):
            return 0
        return self._give_up_overdue()

    def _give_up_overdue(self) -> int:
        board = self.board
        lost = board.give_up_overdue()
        if lost and self.state == OPEN:
            self.state, self._recover = RECOVERY, board.nxt
            self._window_before = self.control.window
            self.control.reduced()
            self._sent_since = self._delivered_since = 0
            self._probed = None
        return lost

    def _settle(self, now_s: float) -> None:
        """Recovery is over when all that was out at its beginning has arrived."""
        board, control = self.board, self.control
        if self._probed is not None and board.una > self._probed:
            self._probed = None
            if self.state == OPEN:  # the probe repaired a loss: it counts as one
                control.window = control.reduced()
        if self.state != OPEN and board.una >= self._recover:
            if self.state == RECOVERY:
                control.window = int(control.threshold)
            self.state = OPEN

    def _reduce(self, delivered: int, lost: int, advanced: bool) -> None:
        """Proportional rate reduction: the window that lets through what it may send now."""
        board, control = self.board, self.control
        self._delivered_since += delivered
        room = int(control.threshold) - board.in_flight
        if room < 0:
            share = control.threshold * self._delivered_since + self._window_before - 1
            allowed = int(share // self._window_before) - self._sent_since
        else:
            allowed = max(self._delivered_since - self._sent_since, delivered)
            if advanced and not lost:
                allowed += 1
            allowed = min(room, allowed)
        allowed = max(allowed, 0 if self._sent_since else 1)
        control.window = board.in_flight + allowed

    # Timers.

    def _deadline(self) -> tuple[float, str]:
        """The next timer and what for."""
        board, trips = self.board, self._trips
        timeout_s = self._timer_s + trips.timeout_s
        if self.state == OPEN and board.overdue and board.latest is not None:
            late_s = board.overdue[0].sent_s + trips.smoothed_s + trips.least_s / 4
            return min((late_s, "overdue"), (timeout_s, "timeout"))
        if self.state == OPEN and self._probed is None and not board.ahead and trips.smoothed_s:
            wait_s = 2 * trips.smoothed_s + _PROBE_SLACK_S * self._second_s
            if board.out == 1:
                wait_s += 0.2 * self._second_s
            return min((self._probe_from_s + wait_s, "probe"), (timeout_s, "timeout"))
        return timeout_s, "timeout"

    def _expired(self, now_s: float, what: str) -> None:
        board, control = self.board, self.control
        if what == "overdue":
            if self._give_up_overdue():
                self._reduce(0, 0, False)
        elif what == "probe":
            self._probe(now_s)
            return
        else:
            if self.state != TIMED_OUT or board.una >= self._recover:
                control.reduced()
            control.timed_out()
            self.state, self._recover, self._probed = TIMED_OUT, board.nxt, None
            board.give_up_all()
            control.window = 1
            self._trips.backed_off()
            self._timer_s = now_s
        self._transmit(now_s)

    def _probe(self, now_s: float) -> None:
        """The end of what was sent may be lost: send something new, or the last again."""
        board = self.board
        if self._runs and not self.held:
            segment = self._next_new(1, now_s)
        else:
            segment = board.segments[board.nxt - 1]
            segment.again = True
            if segment.state != DELIVERED:
                board.in_flight -= segment.count
        self._probed = board.nxt - 1
        self._timer_s = now_s
        self._send(segment, now_s)
