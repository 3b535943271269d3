"""What time it is for a party of an emulation on a host that may be late.

What was due at 10.0 s and reached a device at 10.2 s, because the host was busy, would have
reached the real device at 10.0 s, and what the device does next it would have done then. So an
emulated device lives by a present of its own: behind the host's clock by as much as what reached
it last was late. Its computing and its sending begin in its present, which the host makes up for
while the device waits. What is late at the real end of a link, no one makes up for.
"""

import math
from typing import Protocol

from netem.timer import Timer


class Present(Protocol):
    def now(self) -> float: ...

    def reached(self, due_s: float) -> float:
        """What was due then has come just now: how much of its lateness stays, which is nothing
        where time is made up for."""
        ...


class HostsPresent:
    """The host's clock: late is late."""

    def __init__(self, timer: Timer) -> None:
        self._timer = timer
        self.now = timer.now

    def reached(self, due_s: float) -> float:
        return max(0.0, self._timer.now() - due_s)


class OwnPresent:
    """A device's own time, which never runs backwards."""

    def __init__(self, timer: Timer) -> None:
        self._timer = timer
        self._behind_s = 0.0
        self._last_s = -math.inf

    def now(self) -> float:
        self._last_s = max(self._last_s, self._timer.now() - self._behind_s)
        return self._last_s

    def reached(self, due_s: float) -> float:
        self._last_s = max(self._last_s, due_s)
        self._behind_s = max(0.0, self._timer.now() - self._last_s)
        return 0.0
