"""What one client's own spans of one round say: seconds, bytes and the notes of its fit.

Gathered for all clients in one pass, because a large run has a million spans. Pure; knows no
settings and nobody else's spans.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from protocol.telemetry import Json, Span
from runs.phases import CLIENT_PHASES
from runs.values import number

_CLIENT_PHASES = frozenset(CLIENT_PHASES)


@dataclass(slots=True)
class Measured:
    seconds: dict[str, float] = field(default_factory=dict)
    """By phase; a phase entered twice counts twice."""
    fit_notes: Mapping[str, Json] = field(default_factory=dict)
    """Of the last fit."""
    bytes_up: int = 0
    bytes_down: int = 0
    late_s: float | None = None
    """By how much the emulation's own lateness may have lengthened its phases, in all."""

    @property
    def network_s(self) -> float | None:
        return _sum(self.seconds.get("download"), self.seconds.get("upload"))

    @property
    def full_fit_s(self) -> float | None:
        """As stated; a fit of the full model is its own equivalent."""
        stated = number(self.fit_notes, "full_s")
        if stated is None and number(self.fit_notes, "keep_ratio") in (None, 1.0):
            return self.seconds.get("fit")
        return stated

    @property
    def full_s(self) -> float | None:
        return _sum(self.full_fit_s, self.network_s)


NOTHING = Measured()
"""Of a client that recorded nothing in the round."""


def measure(spans: Sequence[Span]) -> dict[int, Measured]:
    """By client."""
    found: dict[int, Measured] = {}
    for span in spans:
        client = span.client
        if client is None:
            continue
        own = found.get(client)
        if own is None:
            own = found[client] = Measured()
        phase, seconds = span.phase, own.seconds
        if phase in _CLIENT_PHASES:
            seconds[phase] = seconds.get(phase, 0.0) + span.end_s - span.start_s
        if phase == "fit":
            own.fit_notes = span.notes
        late_s = number(span.notes, "late_s") if span.notes else None
        if late_s is not None:
            own.late_s = late_s + (own.late_s or 0.0)
        own.bytes_up += span.bytes_up
        own.bytes_down += span.bytes_down
    return found


def _sum(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first + second
