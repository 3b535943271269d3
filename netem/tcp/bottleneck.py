"""The queue in front of a device's wire: first in, first out, and what does not fit is dropped.

All connections of one direction share it, so that what one queues delays the others. Also keeps
their senders in step: what they do, they do in the order of time, however late it is computed.
"""

import math
from typing import Protocol

from netem.link import FRAME_BYTES


class Sender(Protocol):
    """Has things to do at instants of its own: acknowledgements and timers."""

    def next_event_s(self) -> float: ...

    def step(self) -> None:
        """Do what is next."""
        ...


class Bottleneck:
    """`queue_bytes`: wire bytes that may wait, the rest of what is on the wire included."""

    def __init__(self, queue_bytes: float) -> None:
        self.queue_bytes = queue_bytes
        self.dropped = 0
        """Segments dropped so far."""
        self.latest_s = -math.inf
        """Nothing happens before that any more."""
        self._waiting_bytes = 0
        self._start_s = self._sent_s = -math.inf
        self._load_bytes = 0
        self._senders: list[Sender] = []

    def join(self, sender: Sender) -> None:
        self._senders.append(sender)

    def leave(self, sender: Sender, waiting_bytes: int) -> None:
        """Forget it, and what it had waiting."""
        self._senders.remove(sender)
        self._waiting_bytes -= waiting_bytes

    def run_until(self, now_s: float) -> None:
        """Let the senders do all that is to be done by now, in the order of time."""
        senders = self._senders
        if len(senders) == 1:
            sender = senders[0]
            while (at_s := sender.next_event_s()) <= now_s:
                self.latest_s = at_s
                sender.step()
            return
        while senders:
            sender = min(senders, key=_next_event_s)
            at_s = sender.next_event_s()
            if at_s > now_s:
                return
            self.latest_s = at_s
            sender.step()

    def backlog_bytes(self, at_s: float) -> float:
        """What waits at an instant, not before the last load's start."""
        if at_s >= self._sent_s:
            return self._waiting_bytes
        left = min(1.0, (self._sent_s - at_s) / (self._sent_s - self._start_s))
        return self._waiting_bytes + self._load_bytes * left

    def backlog_segments(self, at_s: float) -> tuple[int, int]:
        """How many full segments wait, and for how many more there is room."""
        backlog_bytes = self.backlog_bytes(at_s)
        room_bytes = max(0.0, self.queue_bytes - backlog_bytes)
        return int(backlog_bytes // FRAME_BYTES), int(room_bytes // FRAME_BYTES)

    def admit(self, wire_bytes: int, at_s: float) -> bool:
        """Whether a segment that comes now finds room; if so it waits from now on."""
        if self.backlog_bytes(at_s) + wire_bytes > self.queue_bytes:
            self.dropped += 1
            return False
        self._waiting_bytes += wire_bytes
        return True

    def started(self, wire_bytes: int, start_s: float, sent_s: float) -> None:
        """What waited went on the wire."""
        self._waiting_bytes -= wire_bytes
        self._load_bytes, self._start_s, self._sent_s = wire_bytes, start_s, sent_s


def _next_event_s(sender: Sender) -> float:
    return sender.next_event_s()
