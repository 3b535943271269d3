"""When a device is there, by a trace: arithmetic over the absolute schedule, `now` passed in.

What being away means is not known here.
"""

import math
from bisect import bisect_right

from netem.playback import AtEnd, Playback
from profiles.trace import Intervals


class Presence:
    def __init__(self, available: Intervals, playback: Playback) -> None:
        self._spans_s, self._end_s = available.spans_s, available.end_s
        self._starts_s = [start_s for start_s, _ in available.spans_s]
        self._playback = playback
        at_end = bool(self._spans_s) and self._spans_s[-1][1] == self._end_s
        at_start = bool(self._spans_s) and self._spans_s[0][0] == 0
        after = {AtEnd.LOOP: at_start, AtEnd.HOLD: at_end, AtEnd.STOP: False}
        self._after = after[playback.at_end]
        """Whether it is there right after the end of the trace."""

    def until_s(self, now_s: float) -> tuple[bool, float]:
        """Whether it is there now, and when that changes; `inf` if it never does."""
        position_s = self._playback.position_s(now_s)
        looping = self._playback.at_end is AtEnd.LOOP
        if position_s >= self._end_s and not looping:
            return self._after, math.inf
        within_s = position_s % self._end_s if looping else position_s
        there, edge_s = self._within(within_s)
        if edge_s == self._end_s and there == self._after:
            # The end is no change: what follows it goes on until the first edge of the next pass.
            following_s = self._within(0.0)[1] if looping else math.inf
            edge_s = math.inf if following_s == self._end_s else self._end_s + following_s
        return there, self._playback.instant_s(position_s - within_s + edge_s)

    def _within(self, within_s: float) -> tuple[bool, float]:
        """The same within one pass, whose end is an edge."""
        index = bisect_right(self._starts_s, within_s) - 1
        if index >= 0 and within_s < self._spans_s[index][1]:
            return True, self._spans_s[index][1]
        following = self._starts_s[index + 1 : index + 2]
        return False, following[0] if following else self._end_s
