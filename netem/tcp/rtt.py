"""Round trips measured, and how long to wait for an acknowledgement (RFC 6298, as Linux has it)."""

import math

from netem.tcp.parameters import INITIAL_RTO_S, MAX_RTO_S, MIN_RTO_S


class RoundTrips:
    """In host seconds; `second_s` of them make an emulated one."""

    __slots__ = ("_backoff", "_deviation_s", "_second_s", "least_s", "smoothed_s")

    def __init__(self, second_s: float) -> None:
        self._second_s = second_s
        self.smoothed_s = 0.0
        self.least_s = math.inf
        self._deviation_s = 0.0
        self._backoff = 1.0

    def measured(self, rtt_s: float) -> None:
        self._backoff = 1.0
        self.least_s = min(self.least_s, rtt_s)
        if not self.smoothed_s:
            self.smoothed_s, self._deviation_s = rtt_s, rtt_s / 2
            return
        error_s = rtt_s - self.smoothed_s
        self.smoothed_s += error_s / 8
        self._deviation_s += (abs(error_s) - self._deviation_s) / 4

    def backed_off(self) -> None:
        """The timer ran out: wait twice as long for the next."""
        self._backoff *= 2

    @property
    def timeout_s(self) -> float:
        """Linux holds the deviation's part, not the whole, to at least the minimum."""
        second_s = self._second_s
        if not self.smoothed_s:
            return min(INITIAL_RTO_S * self._backoff, MAX_RTO_S) * second_s
        spread_s = max(4 * self._deviation_s, MIN_RTO_S * second_s)
        return min((self.smoothed_s + spread_s) * self._backoff, MAX_RTO_S * second_s)
