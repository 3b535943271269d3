"""One connection's share of a direction whose senders are modelled in round trips: a transfer takes
a few loads, not thousands. To the connection it is what `netem.channel.Channel` is.

What the sender would wait between its windows comes before a load, which then goes at the link's
rate: the last byte arrives when it would, the first ones later.
"""

import math
from collections import deque
from typing import Protocol

from netem.channel import Phantom, Piece, Receiver, Signal, split
from netem.link import FRAMING_BYTES, SEGMENT_BYTES
from netem.tcp.rounds import RoundsSender


class RoundsCarrier(Protocol):
    """What a channel needs of the pipe that it is part of."""

    wire_free_s: float

    def now(self) -> float: ...

    def catch_up(self) -> None: ...

    def offered(self, channel: "RoundsChannel") -> None: ...

    def forget(self, channel: "RoundsChannel") -> None: ...


class RoundsChannel:
    """Phantoms take no room in its queue."""

    def __init__(self, pipe: RoundsCarrier, receiver: Receiver, sender: RoundsSender) -> None:
        self._pipe = pipe
        self._receiver = receiver
        self._sender = sender
        self._items: deque[Piece | Signal] = deque()
        self._segments = 0
        self._starts_s = self.ready_s = math.inf
        self._held = False
        self.open = True
        self.queued_bytes = 0
        """Real payload that is not yet on its way."""
        self.blocked = False
        """Whether the sender waits to be told that there is room."""

    def send(self, item: Piece | Signal, ready_s: float = math.inf) -> None:
        """Queue bytes (not empty) or a signal; does nothing on a channel that was dropped.
        `ready_s` has no effect: nothing is late on the clocks that this is for."""
        if not self.open:
            return
        pipe = self._pipe
        pipe.catch_up()
        self._items.append(item)
        if not callable(item) and type(item) is not Phantom:
            self.queued_bytes += len(item)
        if self._starts_s == math.inf:
            self._prepare(max(pipe.now(), pipe.wire_free_s))
        pipe.offered(self)

    def hold(self) -> None:
        """The far end takes no more for now: start nothing new."""
        self._pipe.catch_up()
        self._held, self.ready_s = True, math.inf

    def unhold(self) -> None:
        if self._held and self.open:
            self._pipe.catch_up()
            self._held = False
            self._starts_s = self.ready_s = max(self._starts_s, self._pipe.now())
            if self._items:
                self._pipe.offered(self)

    def drop(self) -> None:
        """Forget everything queued and deliver nothing more; what is on the wire still takes its
        time there."""
        if self.open:
            self.open = False
            self._pipe.forget(self)
            self._items.clear()

    def take(self) -> tuple[list[Piece | Signal], int, int]:
        """What was prepared, its payload and its size on the wire; a signal has a bare frame."""
        items = self._items
        if callable(items[0]):
            return [items.popleft()], 0, FRAMING_BYTES
        room = whole = self._segments * SEGMENT_BYTES
        taken: list[Piece | Signal] = []
        while room and items and not callable(item := items[0]):
            if len(item) <= room:
                items.popleft()
            else:
                item, items[0] = split(item, room)
            taken.append(item)
            room -= len(item)
            if type(item) is not Phantom:
                self.queued_bytes -= len(item)
        payload = whole - room
        return taken, payload, payload + FRAMING_BYTES * -(-payload // SEGMENT_BYTES)

    def prepared(self, start_s: float) -> bool:
        """Decide what goes next, the wire being free from `start_s` on; False if nothing is left
        to send."""
        if self._items:
            self._prepare(start_s)
            return True
        self._starts_s = self.ready_s = math.inf
        return False

    def left(self) -> None:
        """What was on its way has left. It no longer counts as queued."""
        if self.open:
            self._receiver.sent()

    def arrived(self, items: list[Piece | Signal]) -> None:
        if self.open:
            self._receiver.arrived(items)

    def _prepare(self, start_s: float) -> None:
        size = 0
        for item in self._items:
            if callable(item):
                break
            size += len(item)
        self._segments, idle_s = self._sender.send(max(1, -(-size // SEGMENT_BYTES)), start_s)
        self._starts_s = start_s + idle_s
        self.ready_s = math.inf if self._held else self._starts_s
