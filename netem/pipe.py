"""One direction of a device, moving bytes: a link driven by a timer.

`Pipe` owns the link and releases what is due; `Channel` is one connection's share of it: bytes
and signals (end of stream, close) go in, and come out in order when they have crossed. Knows
neither sockets nor asyncio's transports.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from netem.fidelity import BusyPeriod, FidelityMeter
from netem.link import (
    FRAMING_BYTES,
    Link,
    LinkParameters,
    Transit,
    payload_within,
    wire_bytes,
)
from netem.timer import Timer

QUEUE_S = 0.03
"""What a sender may have queued, in link time: enough to bridge a late wake-up (10 ms at the
worst on a healthy host) and little enough to count as a socket's buffer."""
MIN_QUEUE_BYTES = 65536
"""Never less than this: the smallest send buffer a stack would give, and aiohttp's chunk."""

Signal = Callable[[], None]
Piece = bytes | memoryview


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


@dataclass(slots=True)
class ByteCount:
    """Bytes that have crossed one direction of a device."""

    payload: int = 0
    wire: int = 0


class Channel:
    """One direction of one connection. A `netem.link.Flow` whose sender has no model of its own:
    whatever is queued may go as soon as it is there, unless the far end holds it back."""

    def __init__(self, pipe: "Pipe", receiver: Receiver) -> None:
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

    def send(self, item: Piece | Signal) -> None:
        """Queue bytes (not empty) or a signal; does nothing on a channel that was dropped."""
        if not self._open:
            return
        self._pipe.catch_up()
        if not self._items:
            self._since_s = self._offer_time()
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

    def take(self, allowance_bytes: float, start_s: float) -> Parcel:
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
                view = memoryview(item)
                pieces.append(view[:room])
                items[0] = view[room:]
                room = 0
        payload -= room
        return Parcel(self, pieces, payload, wire_bytes(payload))

    def sent(self, payload_bytes: int, late_s: float) -> None:
        if self._open:
            self.queued_bytes -= payload_bytes
            if self.blocked:
                self._told_late_s = late_s
            self._receiver.sent()

    def _offer_time(self) -> float:
        """Now; but if we woke late, or told the sender late that there is room, and it would
        have kept the wire busy otherwise, the instant the wire fell idle: our lateness must not
        cost throughput."""
        now_s, free_s = self._pipe.now(), self._pipe.wire_free_s
        late_s = max(self._told_late_s, self._pipe.late_s)
        return free_s if now_s - late_s <= free_s < now_s else now_s

    def arrived(self, items: list[Piece | Signal]) -> None:
        if self._open:
            self._receiver.arrived(items)


class Pipe:
    """One direction of a device: all its connections' channels over one link.

    It wakes for what is due. Committing loads may wait a little longer, since the link replays a
    late call exactly: so one wake-up a quantum does both.
    """

    def __init__(self, parameters: LinkParameters, timer: Timer, meter: FidelityMeter) -> None:
        self.parameters = parameters
        self.queue_limit_bytes = max(MIN_QUEUE_BYTES, int(parameters.bytes_per_s * QUEUE_S))
        self.passed = ByteCount()
        self._timer = timer
        self._meter = meter
        self._link: Link[Parcel] = Link(parameters, timer.now())
        self._patience_s = min(parameters.delay_s, parameters.quantum_s)
        self._leaving: deque[Transit[Parcel]] = deque()
        self._travelling: deque[Transit[Parcel]] = deque()
        self._busy = BusyPeriod(meter)
        self._closed = False
        self._armed_s = math.inf
        self.late_s = 0.0
        """How late it woke to find the wire idle, until that is made up for."""
        self._alarm = timer.alarm(self._wake)

    def channel(self, receiver: Receiver) -> Channel:
        return Channel(self, receiver)

    def now(self) -> float:
        return self._timer.now()

    @property
    def wire_free_s(self) -> float:
        """When the wire is, or was, rid of everything committed so far."""
        return self._link.free_s

    def close(self) -> None:
        """Release nothing more, and end the measurement of a busy period."""
        self._closed = True
        self._alarm.disarm()
        self._busy.close()

    def catch_up(self) -> None:
        """Commit what started by now, before anything changes that it must not know of."""
        committed = self._link.advance(self._timer.now())
        if committed:
            self._leaving.extend(committed)
            self._travelling.extend(committed)

    def offered(self, channel: Channel) -> None:
        self._link.join(channel)
        self.catch_up()
        if self._link.free_s >= self.now():
            self.late_s = 0.0
        self._arm()

    def forget(self, channel: Channel) -> None:
        self.catch_up()
        self._link.leave(channel)

    def _wake(self) -> None:
        self.catch_up()
        now_s = self._timer.now()
        if self._link.free_s < now_s:
            self.late_s = max(self.late_s, now_s - self._armed_s)
        self._release(now_s)
        self._rid(now_s)
        self._arm()

    def _release(self, now_s: float) -> None:
        """Hand over what is due; what is due together goes in one piece to each channel."""
        due: dict[Channel, list[Piece | Signal]] = {}
        while self._travelling and self._travelling[0].due_s <= now_s:
            parcel, _, _, due_s, continues = self._travelling.popleft()
            self.passed.payload += parcel.payload_bytes
            self.passed.wire += parcel.wire_bytes
            self._meter.released(now_s - due_s)
            self._busy.released(due_s, now_s, continues)
            if parcel.channel in due:
                due[parcel.channel].extend(parcel.items)
            else:
                due[parcel.channel] = parcel.items
        for channel, items in due.items():
            channel.arrived(items)

    def _rid(self, now_s: float) -> None:
        """Tell the senders what has left."""
        while self._leaving and self._leaving[0].sent_s <= now_s:
            parcel, _, sent_s, _, _ = self._leaving.popleft()
            parcel.channel.sent(parcel.payload_bytes, now_s - sent_s)

    def _arm(self) -> None:
        """Once a quantum: the earliest of what is due and what may only wait so long."""
        when_s = self._link.next_start()
        if self._leaving and self._leaving[0].sent_s < when_s:
            when_s = self._leaving[0].sent_s
        when_s += self._patience_s
        if self._travelling and self._travelling[0].due_s < when_s:
            when_s = self._travelling[0].due_s
        if not self._closed:
            self._armed_s = when_s
            self._alarm.arm(when_s)
