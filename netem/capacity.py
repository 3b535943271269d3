"""How much a link carries, as a concept: constant here, following a trace in `netem.replay`.

A `Capacity` is a value that many links may share; each link has a `Wire` of it, which remembers
how far it has been used. Pure: times are passed in.
"""

from dataclasses import dataclass
from typing import Protocol


class Wire(Protocol):
    """One link's use of its capacity, in order of time."""

    def send(self, wire_bytes: float, start_s: float) -> float:
        """When so many bytes have left that begin at `start_s` (not before the last ones were
        sent); `inf` if they never will."""
        ...


class Capacity(Protocol):
    @property
    def bytes_per_s(self) -> float:
        """The mean, by which queues are sized."""
        ...

    def carried_bytes(self, from_s: float, to_s: float) -> float:
        """The integral of the rate: what a link that is never idle carries meanwhile."""
        ...

    def scaled(self, time_scale: float) -> "Capacity":
        """The same with every second stretched to `time_scale` seconds."""
        ...

    def wire(self) -> Wire: ...


@dataclass(frozen=True, slots=True)
class Constant:
    """The same rate for ever; its own wire, since it has nothing to remember."""

    bytes_per_s: float

    def carried_bytes(self, from_s: float, to_s: float) -> float:
        return self.bytes_per_s * (to_s - from_s)

    def scaled(self, time_scale: float) -> "Constant":
        return Constant(self.bytes_per_s / time_scale)

    def wire(self) -> "Constant":
        return self

    def send(self, wire_bytes: float, start_s: float) -> float:
        return start_s + wire_bytes / self.bytes_per_s
