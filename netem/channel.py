"""One connection's share of one direction of a device: bytes and signals (end of stream, close) go
in, and come out in order when they have crossed. Knows neither sockets nor links' arithmetic.

`Channel` is plain pacing: whatever is queued may go as soon as it is there. A channel that follows
a TCP sender is `netem.tcp.channel.TcpChannel`.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from netem.link import FRAMING_BYTES, Transit, payload_within, wire_bytes

Signal = Callable[[], None]


class Phantom:
    """So many bytes without content: it takes their place and their time on a link."""

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size


Piece = bytes | memoryview | Phantom


def split(piece: Piece, size: int) -> tuple[Piece, Piece]:
    """The first `size` bytes and the rest, without copying."""
    if isinstance(piece, Phantom):
        return Phantom(size), Phantom(piece.size - size)
    view = memoryview(piece)
    return view[:size], view[size:]


class Receiver(Protocol):
    """The far end of a channel."""

    def arrived(self, items: list[Piece | Signal]) -> None:
        """What has crossed the link by now, in order. Signals are for it to call in their turn."""
        ...

    def sent(self) -> None:
        """The sender got rid of some of what it had queued."""
        ...


class Parcel(NamedTuple):
    """What one channel has on the link: some bytes, or one signal."""

    channel: "Channel"
    items: list[Piece | Signal]
    payload_bytes: int
    wire_bytes: int


class Carrier(Protocol):
    """What a channel needs of the pipe that it is part of."""

    late_s: float

    @property
    def wire_free_s(self) -> float: ...

    def now(self) -> float: ...

    def offer_s(self, least_s: float = ..., *, waits: bool = ...) -> float: ...

    def catch_up(self) -> None: ...

    def offered(self, channel: "Channel") -> None: ...

    def forget(self, channel: "Channel") -> None: ...


class Channel:
    """One direction of one connection. A `netem.link.Flow` whose sender has no model of its own:
    whatever is queued may go as soon as it is there, unless the far end holds it back."""

    def __init__(self, pipe: Carrier, receiver: Receiver) -> None:
        self._pipe = pipe
        self._receiver = receiver
        self._items: deque[Piece | Signal] = deque()
        self._since_s = -math.inf
        self._held = False
        self._open = True
        self.queued_bytes = 0
        """Payload the sender is not yet rid of."""
        self.blocked = False
        """Whether the sender waits to be told that there is room."""
        self._told_late_s = 0.0

    @property
    def open(self) -> bool:
        return self._open

    @property
    def waits_for_room(self) -> bool:
        """Whether it must hear when what is on its way has left."""
        return True

    def send(self, item: Piece | Signal, ready_s: float = math.inf) -> None:
        """Queue bytes (not empty) or a signal; does nothing on a channel that was dropped.
        `ready_s`: when it would have been sent by an end that is never late."""
        if not self._open:
            return
        self._pipe.catch_up()
        if not self._items:
            self._since_s = min(self._offer_time(), ready_s)
        self._items.append(item)
        if not callable(item):
            self.queued_bytes += len(item)
        self._pipe.offered(self)
        if self._told_late_s and self._pipe.wire_free_s >= self._pipe.now():
            self._told_late_s = 0.0  # made up for

    def hold(self) -> None:
        """The far end takes no more for now: start nothing new."""
        self._pipe.catch_up()
        self._held = True

    def unhold(self) -> None:
        if self._held and self._open:
            self._pipe.catch_up()
            self._held, self._since_s = False, self._pipe.now()
            self._pipe.offered(self)

    def drop(self) -> None:
        """Forget everything queued and deliver nothing more; what is on the wire still takes its
        time there."""
        if self._open:
            self._open = False
            self._pipe.forget(self)
            self._items.clear()

    def next_eligible(self, after_s: float) -> float:
        if self._held or not self._items:
            return math.inf
        return max(after_s, self._since_s)

    def take(self, allowance_bytes: float, start_s: float) -> Parcel | None:
        """Bytes up to the allowance or the next signal; a signal travels in a bare frame."""
        items = self._items
        if callable(items[0]):
            return Parcel(self, [items.popleft()], 0, FRAMING_BYTES)
        room = payload = payload_within(allowance_bytes)
        pieces: list[Piece | Signal] = []
        while room and items and not callable(item := items[0]):
            if len(item) <= room:
                pieces.append(items.popleft())
                room -= len(item)
            else:
                head, items[0] = split(item, room)
                pieces.append(head)
                room = 0
        payload -= room
        return Parcel(self, pieces, payload, wire_bytes(payload))

    def committed(self, transit: Transit[Parcel]) -> None:
        """Plain pacing learns nothing from arrivals."""

    def sent(self, payload_bytes: int, late_s: float) -> None:
        if self._open:
            self.queued_bytes -= payload_bytes
            if self.blocked:
                self._told_late_s = late_s
            self._receiver.sent()

    def _offer_time(self) -> float:
        """The sender's now; but if we woke late, or told the sender late that there is room, and
        it would have kept the wire busy otherwise, the instant the wire fell idle: our lateness
        must not cost throughput."""
        now_s, free_s = self._pipe.offer_s(), self._pipe.wire_free_s
        late_s = max(self._told_late_s, self._pipe.late_s)
        return free_s if now_s - late_s <= free_s < now_s else now_s

    def arrived(self, items: list[Piece | Signal]) -> None:
        if self._open:
            self._receiver.arrived(items)
