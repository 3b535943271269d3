"""`deadline`: a round ends at a deadline; who is not in by then is left out of its sum.

Everybody takes part and begins to train; the work of those who miss the deadline is lost. By
default the deadline is what the straggler rule gives from arrivals, which every coordinator sees:
the slowest other client's time and the margin above it. It never cuts off more than the share of
clients that may be stragglers. Every `renewal_rounds` + 1 rounds everybody is waited for, so that
the deadline follows the fleet. (All our choice.)
"""

import math
from collections.abc import Mapping, Sequence

from learning.structure import Structure
from protocol.stragglers import find_stragglers
from strategies.interface import Cutoff, Strategy
from strategies.none import Everybody, full_model
from strategies.settings import StrategySettings
from strategies.state import State, StateError


class Deadline(Everybody):
    def __init__(self, settings: StrategySettings, structure: Structure) -> None:
        self._settings = settings
        self._planned = 0
        self._derived_s: float | None = None

    def participants(
        self, round_: int, joined: Sequence[int], arrivals: Mapping[int, float]
    ) -> Sequence[int]:
        self._planned = len(joined)
        self._derive(round_, {c: arrivals[c] for c in joined if c in arrivals})
        return super().participants(round_, joined, arrivals)

    def cutoff(self, round_: int) -> Cutoff | None:
        after_s = self._settings.deadline_s or self._derived_s
        if round_ <= self._settings.warmup_rounds or after_s is None:
            return None
        return Cutoff(after_s, math.ceil(self._planned * (1 - self._settings.straggler_share)))

    def state(self) -> State:
        return State({"derived_s": self._derived_s})

    def restore(self, state: State) -> None:
        derived_s = state.values.get("derived_s")
        if derived_s is not None and not isinstance(derived_s, float):
            raise StateError("deadline: derived_s must be a number of seconds or nothing")
        self._derived_s = derived_s

    def _derive(self, round_: int, arrivals: Mapping[int, float]) -> None:
        """Kept between two rounds in which everybody is waited for: the times of those who make
        it would only ever shorten it."""
        since = round_ - self._settings.warmup_rounds
        if since <= 0 or since % (self._settings.renewal_rounds + 1) == 0:
            self._derived_s = None
        elif self._derived_s is None and len(arrivals) > 1:
            share, margin = self._settings.straggler_share, self._settings.straggler_margin
            self._derived_s = find_stragglers(arrivals, share, margin).target_s * (1 + margin)


DEADLINE = Strategy(
    name="deadline",
    describe="a round ends when all but stragglers can be in; later vectors are left out",
    server=Deadline,
    client=full_model,
    counts=lambda settings: "total",
    cuts=True,
    when_drawn="the deadline is derived from the last arrivals known, however long ago",
)
