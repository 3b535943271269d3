"""A channel whose bytes a modelled TCP sender puts on the link.

The sender decides how much goes when; the contents wait here, and are handed on in order as soon
as nothing before them is missing at the far end.
"""

import math

from netem.channel import Carrier, Channel, Parcel, Piece, Receiver, Signal, split
from netem.link import Transit
from netem.tcp.path import TcpPath
from netem.tcp.scoreboard import Segment
from netem.tcp.sender import TcpSender


class TcpChannel(Channel):
    """One direction of one connection, by TCP. What was sent no longer counts as queued: it is
    the connection's, whether it waits at the bottleneck or is on its way."""

    def __init__(
        self, pipe: Carrier, receiver: Receiver, path: TcpPath, *, handshake: bool = False
    ) -> None:
        super().__init__(pipe, receiver)
        self._path = path
        self._sender = TcpSender(
            path.parameters,
            path.bottleneck,
            path.return_s,
            path.rtt_s,
            grain=path.grain,
            handshake=handshake,
        )
        self._on_wire: list[Segment] = []
        self._arrival_s = self._offered_s = -math.inf
        path.bottleneck.join(self._sender)

    @property
    def sender(self) -> TcpSender:
        return self._sender

    def send(self, item: Piece | Signal, ready_s: float = math.inf) -> None:
        if not self._open:
            return
        at_s = self._brought_up(ready_s)
        self._items.append(item)
        self._sender.offer(0 if callable(item) else len(item), at_s)
        self._changed()

    def hold(self) -> None:
        """Nothing new is sent; what is on its way arrives, as into a receive buffer."""
        self._brought_up()
        self._sender.hold()

    def unhold(self) -> None:
        """Without the delay of a window update: what held is a fraction of a receive buffer."""
        if self._sender.held and self._open:
            self._sender.unhold(self._brought_up())
            self._changed()

    def drop(self) -> None:
        if self._open:
            super().drop()
            self._path.bottleneck.leave(self._sender, self._sender.waiting_bytes)

    def next_eligible(self, after_s: float) -> float:
        sender = self._sender
        if sender.entered:
            return max(after_s, sender.entered[0][0])
        return max(after_s, sender.next_event_s())

    def take(self, allowance_bytes: float, start_s: float) -> Parcel | None:
        """Segments that wait for the wire by then, whole ones up to the allowance."""
        self._path.bottleneck.run_until(start_s)
        self.queued_bytes = self._sender.unsent_bytes
        entered = self._sender.entered
        taken = self._on_wire = []
        size = payload = 0
        while entered and entered[0][0] <= start_s:
            segment = entered[0][1]
            size += segment.wire_bytes
            if size > allowance_bytes:
                size -= segment.wire_bytes
                break
            entered.popleft()
            payload += segment.payload_bytes
            taken.append(segment)
        return Parcel(self, [], payload, size) if taken else None

    def committed(self, transit: Transit[Parcel]) -> None:
        """The far end's side: each segment arrives as the wire gets rid of it."""
        sender, loss = self._sender, self._path.loss
        receiver = sender.receiver
        parcel, start_s, sent_s, due_s, _ = transit
        self._path.bottleneck.started(parcel.wire_bytes, start_s, sent_s)
        if due_s == math.inf:  # the link has ended
            return
        s_per_byte = (sent_s - start_s) / parcel.wire_bytes
        before, left_bytes = receiver.expected, parcel.wire_bytes
        for segment in self._on_wire:
            left_bytes -= segment.wire_bytes
            if loss.strikes():
                sender.lost(segment)
                continue
            # Where the delay varies, a load's first segments may not overtake the load before.
            self._arrival_s = max(self._arrival_s, due_s - left_bytes * s_per_byte)
            receiver.arrived(segment.seq, self._arrival_s, segment.count)
        for seq in range(before, receiver.expected):
            self._hand_on(sender.board.segments[seq].payload_bytes, parcel.items)
        self._on_wire = []

    def _hand_on(self, size: int, to: list[Piece | Signal]) -> None:
        """Move a segment's contents: so many bytes, or a signal."""
        items = self._items
        if not size:
            to.append(items.popleft())
            return
        while size:
            item = items[0]
            if callable(item):
                raise RuntimeError("a segment reached over a signal")
            if len(item) <= size:
                size -= len(item)
                to.append(items.popleft())
            else:
                head, items[0] = split(item, size)
                to.append(head)
                size = 0

    def sent(self, payload_bytes: int, late_s: float) -> None:
        if self._open:
            self._receiver.sent()

    def arrived(self, items: list[Piece | Signal]) -> None:
        if items:  # none: it was lost, or what comes before it is missing
            super().arrived(items)

    def _brought_up(self, ready_s: float = math.inf) -> float:
        """Let everything happen that did by the sender's now, which is returned. What was ready
        before counts as sent then, or as soon after as the model has not gone past."""
        pipe, bottleneck = self._pipe, self._path.bottleneck
        now_s = pipe.offer_s()  # catching up takes the host a while
        if ready_s < now_s:
            now_s = min(now_s, max(ready_s, bottleneck.latest_s, self._offered_s))
        pipe.catch_up()
        at_s = now_s
        if bottleneck.latest_s > now_s:
            waits = not self._sender.unsent_bytes
            at_s = pipe.offer_s(bottleneck.latest_s, waits=waits)
        bottleneck.run_until(at_s)
        self._sender.catch_up(at_s)
        self._offered_s = at_s
        return at_s

    def _changed(self) -> None:
        self.queued_bytes = self._sender.unsent_bytes
        if self.next_eligible(-math.inf) < math.inf:
            self._pipe.offered(self)
            self.queued_bytes = self._sender.unsent_bytes
