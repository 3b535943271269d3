"""HyStart: leave slow start before the queue overflows (Ha and Rhee 2011; as in Linux's CUBIC).

Two signs that the link is full: a train of acknowledgements longer than half the least round
trip, and round trips that grow.
"""

import math

_LEAST_WINDOW = 16
_TRAIN_GAP_S = 0.002
_TRAIN_SLACK_S = 0.001
"""What bursts of a paced sender may add; Linux takes this for every rate below 2 Gbit/s."""
_SAMPLES = 8
_GROWTH_S = (0.004, 0.016)


class HyStart:
    """One connection's slow start. In host seconds; `second_s` of them make an emulated one."""

    def __init__(self, second_s: float) -> None:
        self._second_s = second_s
        self._least_s = math.inf
        self._end = 0
        self._begin_s = self._last_s = -math.inf
        self._round_least_s = math.inf
        self._samples = 0

    def ends(self, window: int, now_s: float, rtt_s: float, una: int, nxt: int) -> bool:
        """Whether to leave slow start at this acknowledgement."""
        self._least_s = min(self._least_s, rtt_s)
        if una > self._end:
            self._begin_s = self._last_s = now_s
            self._end, self._round_least_s, self._samples = nxt, math.inf, 0
        if window < _LEAST_WINDOW:
            return False
        return self._long_train(now_s) or self._slower(rtt_s)

    def _long_train(self, now_s: float) -> bool:
        second_s = self._second_s
        if now_s - self._last_s > _TRAIN_GAP_S * second_s:
            return False
        self._last_s = now_s
        return now_s - self._begin_s > (self._least_s + _TRAIN_SLACK_S * second_s) / 2

    def _slower(self, rtt_s: float) -> bool:
        self._round_least_s = min(self._round_least_s, rtt_s)
        if self._samples < _SAMPLES:
            self._samples += 1
            return False
        low_s, high_s = (bound_s * self._second_s for bound_s in _GROWTH_S)
        return self._round_least_s > self._least_s + min(max(self._least_s / 8, low_s), high_s)
