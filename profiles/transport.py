"""How TCP fares in a network profile: which congestion control, what queue in front of the wire,
and what share of packets gets lost behind it.

All three may be left out; what is then assumed stands beside the figures, marked as such. Knows
the words, not what a sender does.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from profiles.document import Table
from profiles.quantity import UNITS, Dimension, Quantity

LOSS, QUEUE, CONTROL = "loss", "queue", "congestion_control"
KEYS = (LOSS, QUEUE, CONTROL)

NO_CONTROL = "none"
CONTROLS = ("cubic", "reno", NO_CONTROL)
"""`none`: bytes are paced by the rate alone, without a queue, a slow start or a loss."""
DEFAULT_CONTROL = "cubic"
LEAST_QUEUE_BYTES = 64 * 1514
"""A queue given as a time holds at least so much: a slow link's buffer still counts packets."""
_DEFAULT_QUEUE = Quantity(
    0.2,
    200,
    "ms",
    "assumed: not stated; access links buffer some hundred milliseconds, and at least 64 packets",
)


@dataclass(frozen=True, slots=True)
class NetworkTransport:
    """One of `queue_s` and `queue_bytes` is given."""

    congestion_control: str
    loss: float
    queue_s: float | None
    queue_bytes: float | None

    def queue_at(self, bytes_per_s: float) -> float:
        """Bytes that may wait in front of a wire of this rate, framing included."""
        if self.queue_bytes is not None:
            return self.queue_bytes
        return max((self.queue_s or 0.0) * bytes_per_s, float(LEAST_QUEUE_BYTES))


def parse_transport(table: Table) -> tuple[NetworkTransport, dict[str, Quantity]]:
    """The transport of a network's table, and its figures as written or assumed."""
    control = table.text(CONTROL) if CONTROL in table.entries else DEFAULT_CONTROL
    if control not in CONTROLS:
        raise table.error(CONTROL, f"must be one of {', '.join(CONTROLS)}, not {control!r}")
    if control == NO_CONTROL:
        for key in (LOSS, QUEUE):
            if key in table.entries:
                raise table.error(key, f"needs a {CONTROL} other than {NO_CONTROL!r}")
        return NetworkTransport(control, 0.0, None, None), {}
    figures = {QUEUE: _queue(table)}
    if LOSS in table.entries:
        figures[LOSS] = table.quantity(LOSS, Dimension.SHARE)
        if figures[LOSS].value >= 1:
            raise table.error(f"{LOSS}.value", "must be below 1")
    queue, timed = figures[QUEUE], figures[QUEUE].unit in UNITS[Dimension.DURATION]
    if not timed and queue.value < 1514:
        raise table.error(f"{QUEUE}.value", "must hold a packet of 1514 B")
    loss = figures[LOSS].value if LOSS in figures else 0.0
    queue_s, queue_bytes = (queue.value, None) if timed else (None, queue.value)
    return NetworkTransport(control, loss, queue_s, queue_bytes), figures


def _queue(table: Table) -> Quantity:
    """A time or a size: the unit says which."""
    if QUEUE not in table.entries:
        return _DEFAULT_QUEUE
    raw = table.entries[QUEUE]
    unit = raw.get("unit") if isinstance(raw, Mapping) else None
    timed = isinstance(unit, str) and unit in UNITS[Dimension.DURATION]
    return table.quantity(QUEUE, Dimension.DURATION if timed else Dimension.BUFFER)
