"""A channel whose sender is modelled in round trips: a transfer takes a few loads, not thousands.

What the sender would wait between its windows comes before a load, which then goes at the link's
rate: the last byte arrives when it would, the first ones later.
"""

import math

from netem.channel import Carrier, Channel, Parcel, Phantom, Piece, Receiver, Signal
from netem.link import FRAME_BYTES, SEGMENT_BYTES, Transit
from netem.tcp.rounds import RoundsSender


class RoundsChannel(Channel):
    """One direction of one connection. Phantoms take no room in its queue."""

    def __init__(self, pipe: Carrier, receiver: Receiver, sender: RoundsSender) -> None:
        super().__init__(pipe, receiver)
        self.sender = sender
        self._segments = 0
        self._starts_s = math.inf
        """When its next load goes, if it has one."""

    def send(self, item: Piece | Signal) -> None:
        if not self._open:
            return
        self._pipe.catch_up()
        self._items.append(item)
        if not callable(item) and not isinstance(item, Phantom):
            self.queued_bytes += len(item)
        if self._starts_s == math.inf:
            self._prepare(max(self._pipe.now(), self._pipe.wire_free_s))
        self._pipe.offered(self)

    def next_eligible(self, after_s: float) -> float:
        if self._held:
            return math.inf
        return max(after_s, self._starts_s)

    def unhold(self) -> None:
        if self._held and self._open:
            self._pipe.catch_up()
            self._held = False
            self._starts_s = max(self._starts_s, self._pipe.now())
            self._pipe.offered(self)

    def take(self, allowance_bytes: float, start_s: float) -> Parcel | None:
        """What was prepared, whatever the allowance: a turn is a step of the transfer."""
        parcel = super().take(self._segments * FRAME_BYTES, start_s)
        self._starts_s = math.inf
        if self.queued_bytes and parcel is not None:
            real = [i for i in parcel.items if not callable(i) and not isinstance(i, Phantom)]
            self.queued_bytes -= sum(map(len, real))
        return parcel

    @property
    def waits_for_room(self) -> bool:
        return self.blocked

    def sent(self, payload_bytes: int, late_s: float) -> None:
        """What is on its way no longer counts as queued."""
        if self._open:
            self._receiver.sent()

    def committed(self, transit: Transit[Parcel]) -> None:
        if self._items:
            self._prepare(transit.sent_s)

    def _prepare(self, start_s: float) -> None:
        """Decide what goes next and when, the wire being free from `start_s` on."""
        size = 0
        for item in self._items:
            if callable(item):
                break
            size += len(item)
        wanted = max(1, -(-size // SEGMENT_BYTES))
        self._segments, idle_s = self.sender.send(wanted, start_s)
        self._starts_s = start_s + idle_s
