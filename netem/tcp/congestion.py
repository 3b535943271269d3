"""How a window grows and shrinks: Reno (RFC 5681) and CUBIC (RFC 9438), as Linux has them.

Windows are in segments. A control owns the window and the slow start threshold; recovery from
losses (`netem.tcp.sender`) sets the window meanwhile. One function a rule, no clock.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

from netem.tcp.hystart import HyStart
from netem.tcp.parameters import INITIAL_WINDOW

_BETA = 717 / 1024  # Linux's rounding of RFC 9438's 0.7
_C = 0.4
_FRIENDLY = 15 / 8  # segments acknowledged per window and segment gained: Linux's beta_scale / 8
_REFRESH_S = 1 / 32
"""The cubic curve is looked up again after this time or when the window has changed."""
_EARLY_COUNT = 20
"""Until the first loss at least 5 % a round trip: what there is is not known yet."""


class Control(Protocol):
    """A congestion control of one connection."""

    window: int
    threshold: float

    def timed(self, now_s: float, rtt_s: float, una: int, nxt: int) -> None:
        """A round trip was measured. `una`, `nxt`: the first segment that is not acknowledged,
        the next to be sent."""
        ...

    def acknowledged(self, count: int, now_s: float) -> None:
        """Segments were acknowledged while the window was what limited the sender."""
        ...

    def reduced(self) -> int:
        """A loss was noticed: the threshold from now on, which is returned."""
        ...

    def timed_out(self) -> None:
        """The retransmission timer ran out (after `reduced`): what was learnt is forgotten."""
        ...

    def resumed(self, idle_s: float) -> None:
        """It sends again after everything had been acknowledged for so long."""
        ...


class Reno:
    """One more segment a round trip; half after a loss."""

    def __init__(self, second_s: float) -> None:
        self.window = INITIAL_WINDOW
        self.threshold = math.inf
        self._gathered = 0

    def timed(self, now_s: float, rtt_s: float, una: int, nxt: int) -> None:
        """Nothing depends on time."""

    def acknowledged(self, count: int, now_s: float) -> None:
        if self.window < self.threshold:
            count = self._slow_start(count)
        if count:
            self._add_after(self.window, count)

    def reduced(self) -> int:
        self.threshold = threshold = max(self.window // 2, 2)
        self._gathered = 0
        return threshold

    def timed_out(self) -> None:
        """Nothing beside the window."""

    def resumed(self, idle_s: float) -> None:
        """Nothing depends on time."""

    def _slow_start(self, count: int) -> int:
        """Grow by what was acknowledged up to the threshold; what is left over."""
        grown = int(min(self.window + count, self.threshold))
        count -= grown - self.window
        self.window = grown
        return count

    def _add_after(self, need: int, count: int) -> None:
        """One more segment for each `need` acknowledged."""
        if self._gathered >= need:
            self._gathered = 0
            self.window += 1
        self._gathered += count
        if self._gathered >= need:
            more = self._gathered // need
            self._gathered -= more * need
            self.window += more


class Cubic(Reno):
    """A cubic function of the time since the last loss, never slower than Reno would be, with
    fast convergence; HyStart ends slow start."""

    def __init__(self, second_s: float) -> None:
        super().__init__(second_s)
        self._second_s = second_s
        self._hystart = HyStart(second_s)
        self._forget()

    def _forget(self) -> None:
        self._peak = 0
        self._epoch_s: float | None = None
        self._origin = 0
        self._k_s = 0.0
        self._reno = 0
        self._reno_gathered = 0
        self._need = 1
        self._seen = (0, -math.inf)
        self._least_rtt_s = math.inf

    def acknowledged(self, count: int, now_s: float) -> None:
        if self.window < self.threshold:
            count = self._slow_start(count)
            if not count:
                return
        self._look_up(count, now_s)
        self._add_after(self._need, count)

    def timed(self, now_s: float, rtt_s: float, una: int, nxt: int) -> None:
        """Those of the second after a loss are not believed."""
        if self._epoch_s is not None and now_s - self._epoch_s < self._second_s:
            return
        self._least_rtt_s = min(self._least_rtt_s, rtt_s)
        if self.window < self.threshold and self._hystart.ends(self.window, now_s, rtt_s, una, nxt):
            self.threshold = self.window

    def reduced(self) -> int:
        self._epoch_s = None
        window = self.window
        self._peak = int(window * (1 + _BETA) / 2) if window < self._peak else window
        self.threshold = threshold = max(int(window * _BETA), 2)
        self._gathered = 0
        return threshold

    def timed_out(self) -> None:
        self._forget()
        self._hystart = HyStart(self._second_s)

    def resumed(self, idle_s: float) -> None:
        """Time without data is no part of the curve."""
        if self._epoch_s is not None:
            self._epoch_s += idle_s

    def _look_up(self, count: int, now_s: float) -> None:
        """How many acknowledged segments are worth one more now."""
        self._reno_gathered += count
        window, seen_s = self._seen
        if window == self.window and now_s - seen_s <= _REFRESH_S * self._second_s:
            return
        self._seen = (self.window, now_s)
        if self._epoch_s is None:
            self._begin(count, now_s)
        self._need = max(2, min(self._on_curve(now_s), self._as_reno()))

    def _begin(self, count: int, now_s: float) -> None:
        self._epoch_s = now_s
        self._reno, self._reno_gathered = self.window, count
        self._origin = max(self._peak, self.window)
        self._k_s = math.cbrt((self._origin - self.window) / _C)

    def _on_curve(self, now_s: float) -> int:
        """Where the curve will be a round trip from now."""
        since_s = now_s - (self._epoch_s or now_s)
        rtt_s = self._least_rtt_s if self._least_rtt_s < math.inf else 0.0
        at_s = (since_s + rtt_s) / self._second_s - self._k_s
        target = self._origin + int(_C * at_s**3)
        need = self.window // (target - self.window) if target > self.window else 100 * self.window
        return need if self._peak else min(need, _EARLY_COUNT)

    def _as_reno(self) -> int:
        """What Reno would need to catch up with the window it would have by now."""
        step = max(1, int(self.window * _FRIENDLY))
        more = max(0, self._reno_gathered - 1) // step
        self._reno_gathered -= more * step
        self._reno += more
        if self._reno > self.window:
            return self.window // (self._reno - self.window)
        return 1 << 30


CONTROLS: Mapping[str, Callable[[float], Control]] = MappingProxyType(
    {"cubic": Cubic, "reno": Reno}
)
"""By the name Linux has for it. `none` is no control but plain pacing: see netem.channel."""
