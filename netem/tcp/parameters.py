"""What a modelled TCP connection depends on. Constants are Linux's, whose TCP is the measure.

Emulated time may be stretched (`second_s` host seconds for each emulated one): all durations here
are in emulated seconds, and multiplied where they are used.
"""

import math
from dataclasses import dataclass, replace

INITIAL_WINDOW = 10
"""Segments (RFC 6928)."""
MIN_RTO_S = 0.2
"""Linux's TCP_RTO_MIN; RFC 6298 would have 1 s."""
MAX_RTO_S = 120.0
INITIAL_RTO_S = 1.0
"""Before a round trip has been measured: for a connection's first packet (RFC 6298)."""
DELAYED_ACK_S = 0.04
"""Linux's TCP_DELACK_MIN."""
QUICK_ACKS = 16
"""So many segments of a new connection are acknowledged one by one (Linux's TCP_MAX_QUICKACKS)."""
SOCKET_BUFFER_BYTES = 4 << 20
"""What may be on its way at once: Linux's default limit of a send buffer, tcp_wmem[2]."""


CONGESTION_CONTROLS = ("cubic", "reno")
"""By the names that Linux has for them."""


class TcpError(ValueError):
    """A sender was asked for that cannot exist."""


@dataclass(frozen=True, slots=True)
class TcpParameters:
    """One direction's senders and the queue in front of the wire.

    `queue_bytes`: what waits for the wire before more is dropped. `loss`: the share of segments
    that get lost behind it, independently. `seed` decides which.
    """

    congestion_control: str
    queue_bytes: float
    loss: float = 0.0
    seed: tuple[int, ...] = (0,)
    second_s: float = 1.0
    by_rounds: bool = False
    """Senders are modelled in round trips (`netem.tcp.rounds`), not in segments."""

    def __post_init__(self) -> None:
        if self.congestion_control not in CONGESTION_CONTROLS:
            known = ", ".join(CONGESTION_CONTROLS)
            raise TcpError(f"congestion_control is one of {known}, not {self.congestion_control}")
        if not self.queue_bytes >= 1514:
            raise TcpError(f"queue_bytes must hold a frame of 1514, not {self.queue_bytes}")
        if not 0 <= self.loss < 1:
            raise TcpError(f"loss must be at least 0 and below 1, not {self.loss}")
        if not (math.isfinite(self.second_s) and self.second_s > 0):
            raise TcpError(f"second_s must be positive and finite, not {self.second_s}")

    def scaled(self, time_scale: float) -> "TcpParameters":
        return replace(self, second_s=self.second_s * time_scale)
