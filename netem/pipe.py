"""One direction of a device, moving bytes: a link driven by a timer.

`Pipe` owns the link and releases what is due, to the channels that are its connections' shares.
Knows neither sockets nor asyncio's transports.
"""

import math
from collections import deque
from dataclasses import dataclass

from netem.channel import Channel, Parcel, Piece, Receiver, Signal
from netem.fidelity import BusyPeriod, FidelityMeter
from netem.junction import Crossing
from netem.link import Link, LinkParameters, Transit
from netem.loss import RandomLoss
from netem.present import HostsPresent, Present
from netem.tcp.channel import TcpChannel
from netem.tcp.path import TcpPath
from netem.timer import Timer

QUEUE_S = 0.25
"""What a sender may have queued, in link time: enough to bridge the time in which a busy host
neither reads nor writes."""
MIN_QUEUE_BYTES = 65536
"""Never less than this: the smallest send buffer a stack would give, and aiohttp's chunk."""


@dataclass(slots=True)
class ByteCount:
    """Bytes that have crossed one direction of a device."""

    payload: int = 0
    wire: int = 0


@dataclass(frozen=True, slots=True)
class Ends:
    """Whose time what is sent and what arrives go by; None: the host's."""

    sender: Present | None = None
    receiver: Present | None = None


class Pipe:
    """One direction of a device: all its connections' channels over one link.

    It wakes for what is due. Committing loads may wait a little longer, since the link replays a
    late call exactly: so one wake-up a quantum does both.
    """

    def __init__(
        self,
        parameters: LinkParameters,
        timer: Timer,
        meter: FidelityMeter,
        back: LinkParameters | None = None,
        crossing: Crossing[Parcel] | None = None,
        ends: Ends = Ends(),
    ) -> None:
        """`back`: the other direction, which takes TCP's acknowledgements. `crossing`: the wires
        on its way that other devices share."""
        self.parameters = parameters
        self.queue_limit_bytes = max(MIN_QUEUE_BYTES, int(parameters.bytes_per_s * QUEUE_S))
        self.passed = ByteCount()
        self._timer = timer
        self._meter = meter
        self._sender = ends.sender or HostsPresent(timer)
        self._receiver = ends.receiver or HostsPresent(timer)
        route = crossing.wires if crossing else ()
        self._link: Link[Parcel] = Link(parameters, timer.now(), route)
        self._path = TcpPath.of(parameters, back or parameters, self._link.quantum_bytes)
        self._shared = crossing.links if crossing else None
        self._patience_s = min(parameters.delay_s, parameters.quantum_s)
        self._leaving: deque[Transit[Parcel]] = deque()
        self._travelling: deque[Transit[Parcel]] = deque()
        self._busy = BusyPeriod(meter)
        self._closed = False
        self._armed_s = math.inf
        self.arriving_s = -math.inf
        """When what is being handed over was due."""
        self.late_s = 0.0
        """How late it woke to find the wire idle, until that is made up for."""
        self._alarm = timer.alarm(self._wake)
        if self._shared is not None:
            self._shared.add(self._link, self._committed)

    def channel(self, receiver: Receiver, *, handshake: bool = False) -> Channel:
        """A connection's share; a handshake's sender has not measured a round trip yet."""
        if self._path is None:
            return Channel(self, receiver)
        return TcpChannel(self, receiver, self._path, handshake=handshake)

    def now(self) -> float:
        return self._timer.now()

    def offer_s(self, least_s: float = -math.inf, *, waits: bool = False) -> float:
        """When what is sent just now counts as sent, but not before that. `waits`: the link did,
        so that being too late for it holds the sender up."""
        present_s = self._sender.now()
        if present_s >= least_s:
            return present_s
        if waits:
            self._meter.held_up(least_s - present_s)
            self._sender.reached(least_s)
        return least_s

    @property
    def wire_free_s(self) -> float:
        """When the wire is, or was, rid of everything committed so far."""
        return self._link.free_s

    def losses(self) -> tuple[int, int]:
        """How many segments the air took, and of how many."""
        loss = None if self._path is None else self._path.loss
        return (loss.struck, loss.asked) if isinstance(loss, RandomLoss) else (0, 0)

    def close(self) -> None:
        """Release nothing more, and end the measurement of a busy period."""
        self._closed = True
        self._alarm.disarm()
        self._busy.close()

    def catch_up(self) -> None:
        """Commit what started by now, before anything changes that it must not know of."""
        if self._shared is not None:
            self._shared.catch_up()
        elif committed := self._link.advance(self._timer.now()):
            self._leaving.extend(t for t in committed if t.load.channel.waits_for_room)
            self._travelling.extend(committed)

    def _committed(self, transits: list[Transit[Parcel]]) -> None:
        """Where wires are shared, whoever woke commits for all."""
        self._leaving.extend(transits)
        self._travelling.extend(transits)
        self._arm()

    def offered(self, channel: Channel) -> None:
        self._link.join(channel)
        if self._shared is not None:
            self._shared.changed(self._link)
        self.catch_up()
        if self._link.free_s >= self.now():
            self.late_s = 0.0
        self._arm()

    def forget(self, channel: Channel) -> None:
        self.catch_up()
        self._link.leave(channel)
        if self._shared is not None:
            self._shared.changed(self._link)

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
        travelling, late_s = self._travelling, 0.0
        while travelling and travelling[0].due_s <= now_s:
            parcel, _, _, due_s, continues = travelling.popleft()
            self.passed.payload += parcel.payload_bytes
            self.passed.wire += parcel.wire_bytes
            self._meter.released(now_s - due_s)
            late_s = self._receiver.reached(due_s)
            self._busy.released(due_s, due_s + late_s, continues)
            self.arriving_s = due_s
            if parcel.channel in due:
                due[parcel.channel].extend(parcel.items)
            else:
                due[parcel.channel] = parcel.items
        if due and not travelling and self._link.next_start() == math.inf:
            # Nothing follows by itself: whoever waits for what came last waited so much longer.
            # What comes late within a stretch holds nobody up, since its end does not shift.
            self._meter.held_up(late_s)
        for channel, items in due.items():
            channel.arrived(items)

    def _rid(self, now_s: float) -> None:
        """Tell the senders what has left."""
        while self._leaving and self._leaving[0].sent_s <= now_s:
            parcel, _, sent_s, _, _ = self._leaving.popleft()
            parcel.channel.sent(parcel.payload_bytes, now_s - sent_s)

    def _arm(self) -> None:
        """Once a quantum: the earliest of what is due and what may only wait so long."""
        when_s = math.inf if self._shared is not None else self._link.next_start()
        if self._leaving and self._leaving[0].sent_s < when_s:
            when_s = self._leaving[0].sent_s
        when_s += self._patience_s
        if self._travelling and self._travelling[0].due_s < when_s:
            when_s = self._travelling[0].due_s
        if not self._closed:
            self._armed_s = when_s
            self._alarm.arm(when_s)
