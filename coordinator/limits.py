"""Every deadline of the coordinator in one place: no wait is without one.

Seconds of the loop's clock. A transfer is judged by progress, not by its length: a slow but
progressing one is never cut off. A client that trains in silence is alive as long as its
heartbeats come.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    join_s: float = 120.0
    """From the start until every planned worker is ready."""
    handshake_s: float = 20.0
    heartbeat_s: float = 15.0
    """Ping interval on the control channel; a pong later than half of it means lost."""
    exchange_s: float = 60.0
    """One exchange of control messages: keys, shares or unmasking."""
    training_s: float = 1800.0
    """From the shares' delivery until a client's upload begins."""
    stall_s: float = 30.0
    """A transfer of which no byte has moved for so long is given up."""
    second_s: float = 1.0
    """Length of one of the run's seconds on the loop's clock; all other limits are on that."""
