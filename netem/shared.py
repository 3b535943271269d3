"""One direction of a link that several devices share: a household's, a cell's, the coordinator's
own access. Arithmetic; who goes first is decided in `netem.junction`.
"""

import math


class SharedWireError(ValueError):
    """A shared link was asked for that cannot exist."""


class SharedWire:
    """It adds no delay of its own."""

    def __init__(self, bytes_per_s: float) -> None:
        if not (math.isfinite(bytes_per_s) and bytes_per_s > 0):
            raise SharedWireError(f"bytes_per_s must be positive and finite, not {bytes_per_s}")
        self.bytes_per_s = bytes_per_s
        self.free_s = -math.inf
        """When it is rid of everything committed so far."""
        self.passed_bytes = 0

    def send(self, wire_bytes: int, start_s: float) -> float:
        """Take a load that starts then; when the last of it has passed."""
        self.passed_bytes += wire_bytes
        self.free_s = start_s + wire_bytes / self.bytes_per_s
        return self.free_s
