"""How the loop that plays links waits: asleep most of the time, awake from shortly before something
is due, as far as that costs little; and what it takes this host to wake it. Knows no packet.

A processor that has fallen asleep needs some 0.1 ms until a process runs on it again, whoever woke
it. For a timer that is made up for by waking early; what a packet wakes had come so much earlier.
"""

import math
import os
import select
import struct
import time
from statistics import median

_EXCHANGES = 12
_ASLEEP_S = 0.008
"""Like the pauses of an idle link: after shorter ones a processor is not fast asleep."""
MOST_S = 0.0004
"""A host that needs longer has its processors taken away: nothing here helps against that."""
_STEP_S = 1e-5
_IN_TIME = 0.9
"""Of the wake-ups so many are to be in time."""
AWAKE_SHARE, MOST_CREDIT_S = 0.1, 0.005
"""Of the time at most so much is spent awake, but for so long at once: enough for the round trips
in which a transfer begins, too little to take a processor from those who compute."""


class Waiting:
    """Decides until when to sleep. `now_s` never decreases."""

    def __init__(self, wake_up_s: float) -> None:
        """What it takes this process to run again once somebody wakes it."""
        self._wake_up_s = self._lead_s = min(MOST_S, wake_up_s)
        self._credit_s = MOST_CREDIT_S
        self._last_s = math.inf

    def wake_at(self, due_s: float, now_s: float) -> float:
        """When to be woken for what is due then; `now_s` or before: not to sleep at all."""
        gained_s = AWAKE_SHARE * max(0.0, now_s - self._last_s)
        self._credit_s = min(MOST_CREDIT_S, self._credit_s + gained_s)
        self._last_s = now_s
        return due_s - self._lead_s if self._credit_s > 0 else due_s

    def stayed_awake(self, seconds: float) -> None:
        self._credit_s -= seconds

    def woken_by_timer(self, late_s: float) -> None:
        """The lead follows what this takes at present."""
        step_s = _STEP_S * (_IN_TIME if late_s > self._lead_s else _IN_TIME - 1)
        self._lead_s = min(MOST_S, max(0.0, self._lead_s + step_s))

    def came_s(self, asleep_s: float, woken_s: float) -> float:
        """When what woke the loop at `woken_s` had come; it slept from `asleep_s` on."""
        return max(asleep_s, woken_s - self._wake_up_s)


def measured_wake_up_s() -> float:
    """Median seconds from another process's writing to this one's being awake; takes 0.1 s."""
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        try:
            for _ in range(_EXCHANGES):
                time.sleep(_ASLEEP_S)
                os.write(theirs, struct.pack("d", time.monotonic()))
        finally:
            os._exit(0)
    os.close(theirs)
    poll, taken_s = select.epoll(), [0.0]
    poll.register(ours, select.EPOLLIN)
    for _ in range(_EXCHANGES):
        poll.poll()
        now_s = time.monotonic()
        if not (word := os.read(ours, 8)):
            break
        taken_s.append(now_s - struct.unpack("d", word)[0])
    poll.close()
    os.close(ours)
    os.waitpid(child, 0)
    return median(taken_s)
