"""Playing what a trace says along a clock: where in the trace an instant is, and the integral of a
stepped quantity between instants with its inverse.

Everything goes by the absolute schedule, epoch + position in the trace, never by what was played
last: who asks late gets the same answer. Pure; knows neither links nor processors.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass, replace
from enum import StrEnum

from profiles.trace import Steps


class AtEnd(StrEnum):
    """What follows the end of a trace: its start, its last value for ever, or nothing for ever."""

    LOOP = "loop"
    HOLD = "hold"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Playback:
    """At `epoch_s` of the clock the trace is at `offset_s`; a second of it lasts `stretch`."""

    epoch_s: float
    offset_s: float = 0.0
    at_end: AtEnd = AtEnd.LOOP
    stretch: float = 1.0

    def position_s(self, now_s: float) -> float:
        """Before the epoch the trace stands still."""
        return self.offset_s + max(0.0, now_s - self.epoch_s) / self.stretch

    def instant_s(self, position_s: float) -> float:
        return self.epoch_s + (position_s - self.offset_s) * self.stretch

    def scaled(self, time_scale: float) -> "Playback":
        return replace(self, stretch=self.stretch * time_scale)


class Integral:
    """Of a stepped quantity being played: over time, and how long an amount takes."""

    def __init__(self, steps: Steps, playback: Playback) -> None:
        self._at_s, self._values, self._end_s = steps.at_s, steps.values, steps.end_s
        self._playback = playback
        self.lap = steps.total()
        """The amount of one whole pass through the trace."""
        self._ends_s = (*steps.at_s[1:], steps.end_s)
        sums = [0.0]
        for value, at_s, end_s in zip(self._values, self._at_s, self._ends_s, strict=True):
            sums.append(sums[-1] + value * (end_s - at_s))
        self._before = tuple(sums)
        after = {AtEnd.LOOP: 0.0, AtEnd.HOLD: self._values[-1], AtEnd.STOP: 0.0}
        self._after = after[playback.at_end]

    def value(self, now_s: float) -> float:
        position_s = self._playback.position_s(now_s)
        if position_s >= self._end_s:
            if self._playback.at_end is not AtEnd.LOOP:
                return self._after
            position_s %= self._end_s
        return self._values[bisect_right(self._at_s, position_s) - 1]

    def over(self, from_s: float, to_s: float) -> float:
        position_s = self._playback.position_s
        return self._up_to(position_s(to_s)) - self._up_to(position_s(from_s))

    def finish_s(self, amount: float, start_s: float) -> float:
        """When the integral from `start_s` on reaches `amount`, at the earliest; `inf` if never."""
        position_s = self._playback.position_s(start_s)
        base_s, within_s = 0.0, position_s
        if self._playback.at_end is AtEnd.LOOP:
            within_s = position_s % self._end_s
            base_s = position_s - within_s
        index = bisect_right(self._at_s, within_s) - 1
        remaining, slack = amount, 1e-9 * amount  # what rounding may leave at the end of a step
        while within_s < self._end_s:
            step_end_s = self._ends_s[index]
            room = self._values[index] * (step_end_s - within_s)
            if remaining <= room:
                within_s += remaining / self._values[index] if remaining > 0 else 0.0
                return max(start_s, self._playback.instant_s(base_s + within_s))
            remaining, within_s, index = remaining - room, step_end_s, index + 1
            if remaining <= slack:
                return max(start_s, self._playback.instant_s(base_s + within_s))
        return self._beyond(remaining, base_s + within_s, start_s)

    def _beyond(self, remaining: float, position_s: float, start_s: float) -> float:
        """The same from the end of the trace on."""
        if self._playback.at_end is not AtEnd.LOOP:
            if not self._after:
                return math.inf
            return max(start_s, self._playback.instant_s(position_s + remaining / self._after))
        if not self.lap:
            return math.inf
        laps = max(0, math.ceil(remaining / self.lap) - 1)
        remaining = min(self.lap, remaining - laps * self.lap)
        within_s = self._within(remaining)
        return self._playback.instant_s(position_s + laps * self._end_s + within_s)

    def _within(self, amount: float) -> float:
        """Where in a pass its integral reaches `amount`, which is above 0 and at most the lap's."""
        index = next(i for i, upto in enumerate(self._before[1:]) if upto >= amount * (1 - 1e-12))
        missing = amount - self._before[index]
        room_s = self._ends_s[index] - self._at_s[index]
        return self._at_s[index] + min(room_s, missing / self._values[index])

    def _up_to(self, position_s: float) -> float:
        """The integral from the trace's start."""
        laps, within_s = 0.0, position_s
        if position_s >= self._end_s:
            if self._playback.at_end is not AtEnd.LOOP:
                return self._before[-1] + self._after * (position_s - self._end_s)
            laps, within_s = divmod(position_s, self._end_s)
        index = bisect_right(self._at_s, within_s) - 1
        inside = self._before[index] + self._values[index] * (within_s - self._at_s[index])
        return laps * self._before[-1] + inside
