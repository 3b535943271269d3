"""The arithmetic of one direction of a device's link: who sends when, and when it arrives.

Pure: `now` is passed in, nothing here knows a clock, a socket or an event loop. Everything is
scheduled by absolute virtual times, so that the schedule can be replayed late without loss: a
late call of `advance` gives the same transits as one in time.

A *flow* is one direction of one connection. Flows that pace themselves by nothing share the link
by deficit round robin (Shreedhar & Varghese, 1996); TCP senders queue in front of it, first in,
first out. One quantum is committed at a time, so that a flow that comes later still counts. What
a flow may send, and when, is its own business (`Flow`; `netem.tcp` models TCP senders).
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, Protocol, TypeVar

from netem.capacity import Capacity, Constant
from netem.impairment import Delay, Variation
from netem.shared import SharedWire
from netem.tcp.parameters import TcpParameters

SEGMENT_BYTES = 1448
"""Payload of a full TCP segment: MTU 1500 less IPv4 (20) and TCP with timestamps (32)."""
FRAMING_BYTES = 66
"""What each segment adds on the wire: Ethernet 14 + IPv4 20 + TCP 32 (no preamble, no FCS: what
the kernel's own shapers count)."""
FRAME_BYTES = SEGMENT_BYTES + FRAMING_BYTES

SHARED_QUANTUM_S = 0.0005
"""What one turn may take of a shared wire: while it lasts others wait whose own wires are free."""

L = TypeVar("L", bound="Load")


class LinkError(ValueError):
    """A link was asked for that cannot exist."""


def wire_bytes(payload_bytes: int) -> int:
    """Bytes on the wire of a payload cut into full segments; a bare frame if there is none."""
    return payload_bytes + FRAMING_BYTES * max(1, -(-payload_bytes // SEGMENT_BYTES))


def payload_within(allowance_bytes: float) -> int:
    """The payload of as many full segments as fit in so many wire bytes."""
    return int(allowance_bytes // FRAME_BYTES) * SEGMENT_BYTES


@dataclass(frozen=True, slots=True)
class LinkParameters:
    """One direction of a link. `bytes_per_s` counts framing; `delay_s` is one way.

    `quantum_s` is the link time one flow gets at a turn (and at least one frame): the grain of
    delivery. 5 ms keep 20 busy links at about 4000 releases a second. With a `variation`,
    `delay_s` is the mean around which the delay goes; with a `varying` rate `bytes_per_s` is the
    mean of that (`following` sees to it). Without `tcp` senders are paced by the rate alone.
    """

    bytes_per_s: float
    delay_s: float
    quantum_s: float = 0.005
    variation: Variation | None = None
    varying: Capacity | None = None
    tcp: TcpParameters | None = None

    @classmethod
    def following(
        cls, capacity: Capacity, delay_s: float, variation: Variation | None = None
    ) -> "LinkParameters":
        return cls(capacity.bytes_per_s, delay_s, variation=variation, varying=capacity)

    @property
    def capacity(self) -> Capacity:
        return self.varying or Constant(self.bytes_per_s)

    def __post_init__(self) -> None:
        if self.varying is not None and self.varying.bytes_per_s != self.bytes_per_s:
            raise LinkError("bytes_per_s of a varying link must be its mean")
        if not (math.isfinite(self.bytes_per_s) and self.bytes_per_s > 0):
            raise LinkError(f"bytes_per_s must be positive and finite, not {self.bytes_per_s}")
        if not (math.isfinite(self.delay_s) and self.delay_s >= 0):
            raise LinkError(f"delay_s must be finite and not negative, not {self.delay_s}")
        if not (math.isfinite(self.quantum_s) and self.quantum_s > 0):
            raise LinkError(f"quantum_s must be positive and finite, not {self.quantum_s}")
        if self.variation is not None and self.delay_s + self.variation.least_s < 0:
            raise LinkError(f"delay_s must be at least {-self.variation.least_s} to vary so much")

    def scaled(self, time_scale: float) -> "LinkParameters":
        """The same link with every emulated second stretched to `time_scale` seconds.

        The quantum stays: it is the grain of the host's work, not a property of the link.
        """
        if not (math.isfinite(time_scale) and time_scale > 0):
            raise LinkError(f"time_scale must be positive and finite, not {time_scale}")
        capacity = self.capacity.scaled(time_scale)
        return replace(
            self,
            bytes_per_s=capacity.bytes_per_s,
            delay_s=self.delay_s * time_scale,
            variation=self.variation and self.variation.scaled(time_scale),
            varying=self.varying and capacity,
            tcp=self.tcp and self.tcp.scaled(time_scale),
        )


class Load(Protocol):
    """What a flow puts on the link at one turn."""

    @property
    def payload_bytes(self) -> int: ...

    @property
    def wire_bytes(self) -> int: ...


class Transit(NamedTuple, Generic[L]):
    """A load on its way: on the wire from `start_s` to `sent_s` (then the sender is rid of it),
    at the other end at `due_s`. `continues`: it started the instant the one before was sent.

    A named tuple, because thousands are made a second: a frozen dataclass takes five times as
    long to make.
    """

    load: L
    start_s: float
    sent_s: float
    due_s: float
    continues: bool


class Flow(Protocol[L]):
    """One sender on a link."""

    def next_eligible(self, after_s: float) -> float:
        """The earliest instant, not before `after_s`, at which it may send more; `inf` if it has
        nothing that time alone will let it send. Asking changes nothing."""
        ...

    def take(self, allowance_bytes: float, start_s: float) -> L | None:
        """Give up what goes on the wire at `start_s`: at most the allowance (wire bytes, never
        less than a frame). Called only at an instant at which it is eligible. None: what it waited
        for does not let it send, and it waits for something later now."""
        ...

    def committed(self, transit: Transit[L]) -> None:
        """What it gave up arrives then: a sender's acknowledgements follow from that."""
        ...


class Link(Generic[L]):
    """One direction of a device: every connection's flow goes through it.

    Laws: transits are in order of start, sent and due; two never overlap on the wire; the link
    is idle only while no flow is eligible.
    """

    def __init__(
        self,
        parameters: LinkParameters,
        begin_s: float = 0.0,
        route: Sequence[SharedWire] = (),
    ) -> None:
        """What changes with time is counted from `begin_s`. `route`: wires shared with other
        devices that everything crosses; a link with one is advanced by `netem.junction`."""
        self.parameters = parameters
        self.route = tuple(route)
        self._delay = Delay(parameters.delay_s, parameters.variation, begin_s)
        self._wire = parameters.capacity.wire()
        quanta = [parameters.bytes_per_s * parameters.quantum_s]
        quanta += [wire.bytes_per_s * SHARED_QUANTUM_S for wire in self.route]
        self.quantum_bytes = max(float(FRAME_BYTES), min(quanta))
        self._turns: deque[Flow[L]] = deque()
        self._deficit_bytes: dict[Flow[L], float] = {}
        self._free_s = -math.inf

    @property
    def free_s(self) -> float:
        """When the wire is rid of everything committed so far."""
        return self._free_s

    def join(self, flow: Flow[L]) -> None:
        """The flow has something to send. Bring the link up to `now` (`advance`) before."""
        if flow not in self._deficit_bytes:
            self._deficit_bytes[flow] = 0.0
            self._turns.append(flow)

    def leave(self, flow: Flow[L]) -> None:
        """Forget what the flow has not committed; what is on the wire stays there."""
        if self._deficit_bytes.pop(flow, None) is not None:
            self._turns.remove(flow)

    def next_start(self) -> float:
        """When the next load will start; `inf` if no flow is going to be eligible."""
        start_s = self.own_start()
        for wire in self.route:
            start_s = max(start_s, wire.free_s)
        return start_s

    def own_start(self) -> float:
        """The same if all that it shares were free."""
        if len(self._turns) == 1:  # by far the most frequent case, and this the hottest path
            return self._turns[0].next_eligible(self._free_s)
        return min((f.next_eligible(self._free_s) for f in self._turns), default=math.inf)

    @property
    def waiting_flows(self) -> int:
        """How many flows would send now if they could."""
        open_s = self._open_s()
        if len(self._turns) == 1:
            return int(self._turns[0].next_eligible(open_s) <= open_s)
        return sum(flow.next_eligible(open_s) <= open_s for flow in self._turns)

    def _open_s(self) -> float:
        """When its own wire and all shared ones on its way are free."""
        open_s = self._free_s
        for wire in self.route:
            if wire.free_s > open_s:
                open_s = wire.free_s
        return open_s

    def advance(self, now_s: float) -> list[Transit[L]]:
        """Commit, one quantum after the other, everything that starts no later than `now_s`
        (which is finite)."""
        if self._free_s > now_s:
            return []
        committed = []
        while (start_s := self.next_start()) <= now_s:
            if (transit := self.commit(start_s)) is not None:
                committed.append(transit)
        return committed

    def commit(self, start_s: float) -> Transit[L] | None:
        """What starts next, at `start_s`, which is `next_start`."""
        flow = self._next_flow(start_s)
        allowance_bytes = self._deficit_bytes.pop(flow) + self._quantum(start_s)
        load = flow.take(allowance_bytes, start_s)
        transit = None if load is None else self._put_on_wire(load, start_s)
        if transit is not None:
            flow.committed(transit)
        if flow.next_eligible(start_s) < math.inf:
            unused_bytes = allowance_bytes - (0 if load is None else load.wire_bytes)
            # Room for a whole frame was left: it had nothing to send then, and saves no credit.
            self._deficit_bytes[flow] = unused_bytes if unused_bytes < FRAME_BYTES else 0.0
            self._turns.append(flow)
        return transit

    def _next_flow(self, start_s: float) -> Flow[L]:
        """Take out the flow whose turn it is: of TCP senders the one that has waited longest."""
        if len(self._turns) == 1:
            return self._turns.popleft()
        if self.parameters.tcp is not None:
            flow = min(self._turns, key=lambda f: f.next_eligible(-math.inf))
        else:
            flow = next(f for f in self._turns if f.next_eligible(start_s) <= start_s)
        self._turns.remove(flow)
        return flow

    def _put_on_wire(self, load: L, start_s: float) -> Transit[L]:
        continues = start_s == (self._open_s() if self.route else self._free_s)
        sent_s = self._wire.send(load.wire_bytes, start_s)
        for wire in self.route:
            sent_s = max(sent_s, wire.send(load.wire_bytes, start_s))
        self._free_s = sent_s
        return Transit(load, start_s, sent_s, self._delay.due_s(sent_s), continues)

    def _quantum(self, start_s: float) -> float:
        """What a flow gets at its turn: where the rate varies, by what it is then, so that a turn
        is over in its time."""
        varying = self.parameters.varying
        if varying is None:
            return self.quantum_bytes
        quanta = [varying.carried_bytes(start_s, start_s + self.parameters.quantum_s)]
        quanta += [wire.bytes_per_s * SHARED_QUANTUM_S for wire in self.route]
        return max(float(FRAME_BYTES), min(quanta))
