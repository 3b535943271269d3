"""One direction of a device whose senders are modelled in round trips: `netem.pipe.Pipe` for large
fleets under a virtual clock, where nothing wakes late and nothing is shared with other devices.

Loads are few and long, so a load costs one alarm. One whose turn has come is committed when the
pipe next wakes or is changed, at the instant at which it started: before it could arrive nobody
can tell the difference, unless somebody waits for room.
"""

import math
from collections import deque
from typing import NamedTuple

from netem.channel import Piece, Receiver, Signal
from netem.fidelity import BusyPeriod, FidelityMeter
from netem.impairment import Delay
from netem.link import FRAMING_BYTES, LinkParameters
from netem.pipe import MIN_QUEUE_BYTES, QUEUE_S, ByteCount
from netem.tcp.parameters import TcpParameters
from netem.tcp.rounds import RoundsSender
from netem.tcp.rounds_channel import RoundsChannel
from netem.timer import Timer


class _Travelling(NamedTuple):
    """A load on its way; `continues`: it started the instant the one before was sent."""

    due_s: float
    continues: bool
    channel: RoundsChannel
    items: list[Piece | Signal]
    payload_bytes: int
    wire_bytes: int


class RoundsPipe:
    """All connections' channels over one link: whose load was ready first goes first."""

    def __init__(
        self,
        parameters: LinkParameters,
        tcp: TcpParameters,
        timer: Timer,
        meter: FidelityMeter,
        back: LinkParameters,
    ) -> None:
        """`back`: the other direction, which takes acknowledgements."""
        self.parameters = parameters
        self.queue_limit_bytes = max(MIN_QUEUE_BYTES, int(parameters.bytes_per_s * QUEUE_S))
        self.passed = ByteCount()
        self._tcp = tcp
        there_s = parameters.delay_s + FRAMING_BYTES / parameters.bytes_per_s
        self._rtt_s = there_s + back.delay_s + FRAMING_BYTES / back.bytes_per_s
        self._timer = timer
        self._meter = meter
        self._wire = parameters.capacity.wire()
        variation = parameters.variation
        self._delay = Delay(parameters.delay_s, variation, timer.now())
        self._soonest_s = parameters.delay_s + (0.0 if variation is None else variation.least_s)
        self._patience_s = min(parameters.delay_s, parameters.quantum_s)
        self._waiting: list[RoundsChannel] = []
        """Channels with something to send, in the order in which their turns began."""
        self._leaving: deque[tuple[float, RoundsChannel]] = deque()
        """When whose load is off, for those that wait for room."""
        self._travelling: deque[_Travelling] = deque()
        self.wire_free_s = -math.inf
        """When the wire is, or was, rid of everything committed so far."""
        self._busy = BusyPeriod(meter)
        self._closed = False
        self._alarm = timer.alarm(self._wake)
        self.now = timer.now
        self.arriving_s = math.inf
        """Nothing is late on the clocks that this is for."""

    def channel(self, receiver: Receiver, *, handshake: bool = False) -> RoundsChannel:
        """A connection's share; a handshake is a signal each way like any other."""
        sender = RoundsSender(self._tcp, self.parameters.bytes_per_s, self._rtt_s)
        return RoundsChannel(self, receiver, sender)

    def close(self) -> None:
        """Release nothing more, and end the measurement of a busy period."""
        self._closed = True
        self._alarm.disarm()
        self._busy.close()

    def catch_up(self) -> None:
        """Commit what started by now, before anything changes that it must not know of."""
        if self._waiting:
            self._commit(self._timer.now())

    def offered(self, channel: RoundsChannel) -> None:
        """It has something to send, or may go on."""
        if channel not in self._waiting:
            self._waiting.append(channel)
        self._commit(self._timer.now())
        self._arm()

    def forget(self, channel: RoundsChannel) -> None:
        self.catch_up()
        if channel in self._waiting:
            self._waiting.remove(channel)

    def _commit(self, now_s: float) -> None:
        """Put on the wire, one load after the other, whatever starts no later than now."""
        while self._waiting and self.wire_free_s <= now_s:
            channel = self._next()
            start_s = max(self.wire_free_s, channel.ready_s)
            if start_s > now_s:
                return
            self._waiting.remove(channel)
            items, payload_bytes, wire_bytes = channel.take()
            continues = start_s == self.wire_free_s
            self.wire_free_s = sent_s = self._wire.send(wire_bytes, start_s)
            self._travelling.append(
                _Travelling(
                    self._delay.due_s(sent_s), continues, channel, items, payload_bytes, wire_bytes
                )
            )
            if channel.blocked:
                self._leaving.append((sent_s, channel))
            if channel.prepared(sent_s):
                self._waiting.append(channel)

    def _next(self) -> RoundsChannel:
        """Whose load has been ready longest."""
        waiting = self._waiting
        return waiting[0] if len(waiting) == 1 else min(waiting, key=lambda each: each.ready_s)

    def _wake(self) -> None:
        now_s = self._timer.now()
        if self._waiting:
            self._commit(now_s)
        self._release(now_s)
        while self._leaving and self._leaving[0][0] <= now_s:
            self._leaving.popleft()[1].left()
        self._arm()

    def _release(self, now_s: float) -> None:
        """Hand over what is due; what is due together goes in one piece to each channel."""
        travelling, due = self._travelling, dict[RoundsChannel, list[Piece | Signal]]()
        while travelling and travelling[0].due_s <= now_s:
            due_s, continues, channel, items, payload_bytes, wire_bytes = travelling.popleft()
            self.passed.payload += payload_bytes
            self.passed.wire += wire_bytes
            self._meter.released(now_s - due_s)
            self._busy.released(due_s, now_s, continues)
            if channel in due:
                due[channel].extend(items)
            else:
                due[channel] = items
        for channel, items in due.items():
            channel.arrived(items)

    def _arm(self) -> None:
        """For what is due first, or for the last instant at which a load must be committed."""
        when_s = self._travelling[0].due_s if self._travelling else math.inf
        if self._leaving:
            when_s = min(when_s, self._leaving[0][0] + self._patience_s)
        if self._waiting:
            held_back = any(channel.queued_bytes for channel in self._waiting)
            slack_s = self._patience_s if held_back else self._soonest_s
            when_s = min(when_s, max(self.wire_free_s, self._next().ready_s) + slack_s)
        if not self._closed:
            self._alarm.arm(when_s)
