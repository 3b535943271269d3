"""A TCP sender in round trips instead of segments: what a transfer costs is a few of them.

For fleets so large that the model of `netem.tcp.sender` is too dear. A window goes out at the
rate of the link, and the next one when the first acknowledgement is back or the wire is free,
whichever is later. Windows grow and shrink by the rules of `netem.tcp.congestion`, once a round
trip. How far
apart the two models are: docs/clocks.md.
"""

import math
import random

from netem.link import FRAME_BYTES, SEGMENT_BYTES
from netem.tcp.parameters import INITIAL_WINDOW, MIN_RTO_S, SOCKET_BUFFER_BYTES, TcpParameters

STEP_S = 0.5
"""Emulated seconds after which a step of a transfer ends: another connection waits for two."""
_MOST_IN_FLIGHT = SOCKET_BUFFER_BYTES // SEGMENT_BYTES
_HYSTART_LEAST = 16
_TRAIN_SLACK_S = 0.001
_BETA = {"cubic": 717 / 1024, "reno": 0.5}
_C = 0.4
_EARLY_GROWTH = 1.05


class RoundsSender:
    """One connection's. All times are in host seconds."""

    def __init__(self, parameters: TcpParameters, bytes_per_s: float, rtt_s: float) -> None:
        self.window = float(INITIAL_WINDOW)
        self.threshold = math.inf
        self._cubic = parameters.congestion_control == "cubic"
        self._beta = _BETA[parameters.congestion_control]
        self._second_s = parameters.second_s
        self._frame_s = FRAME_BYTES / bytes_per_s
        self._trip_s = rtt_s + self._frame_s
        self._room = parameters.queue_bytes / FRAME_BYTES + self._trip_s / self._frame_s
        """Segments that may be under way before the queue overflows."""
        self._timeout_s = rtt_s + MIN_RTO_S * parameters.second_s
        self._loss = parameters.loss
        self._chance = random.Random(f"rounds {parameters.seed}").random if self._loss else None
        self._used = 0.0
        self._cut = False
        """Whether a step ended within a window."""
        self._opens_s = self._last_s = -math.inf
        self._peak = 0.0
        self._epoch_s: float | None = None
        self._origin = self._k_s = 0.0

    def send(self, segments: int, now_s: float) -> tuple[int, float]:
        """From now on, with the wire free: how many of so many go in this step, and how long the
        wire is idle meanwhile because the window is shut."""
        self._resume(now_s)
        if now_s >= self._opens_s and not self._cut:
            self._used, self._opens_s = 0.0, now_s + self._trip_s
        left, end_s, limit_s = segments, now_s, now_s + STEP_S * self._second_s
        while True:
            in_time = math.ceil((limit_s - end_s) / self._frame_s)
            count = min(left, in_time, math.ceil(self.window - self._used))
            if count > 0:
                self._used += count
                left -= count
                end_s += count * self._frame_s
            if not left or end_s >= limit_s:
                break
            again = self._turn(end_s)
            end_s = max(self._opens_s, end_s) + again * self._frame_s
            self._used, self._opens_s = 0.0, end_s + self._trip_s
        if not left and self._lost(self._used):
            end_s += self._trip_s  # the end of it is sent once more
            self._reduce()
        self._last_s = end_s
        self._cut = left > 0
        sent = segments - left
        return sent, max(0.0, end_s - now_s - sent * self._frame_s)

    def _resume(self, now_s: float) -> None:
        """After an idle time: half the window for each timeout that went by (RFC 9293, 3.8.6)."""
        idle_s = now_s - self._last_s
        if not self._timeout_s < idle_s < math.inf:
            return
        self.threshold = max(self.threshold, self.window * 3 / 4)
        halvings = min(60, math.ceil(idle_s / self._timeout_s) - 1)
        least = min(self.window, INITIAL_WINDOW)
        self.window = max(self.window / 2**halvings, least)
        if self._epoch_s is not None:
            self._epoch_s += idle_s

    def _turn(self, now_s: float) -> float:
        """A whole window has gone: the next one's size, and how many of this one go again."""
        lost = self._lost(self.window)
        if lost or self.window > self._room:  # what finds no room takes no time on the wire
            self._reduce()
            return float(lost)
        if self.window < self.threshold:
            self._slow_start()
        elif self._cubic:
            self.window = self._on_curve(now_s)
        else:
            self.window += 1
        self.window = min(self.window, _MOST_IN_FLIGHT)
        return 0.0

    def _slow_start(self) -> None:
        """Twice as many; HyStart ends it once acknowledgements come for half a round trip."""
        train_s = self.window * self._frame_s
        half_s = (self._trip_s + _TRAIN_SLACK_S * self._second_s) / 2
        if self._cubic and self.window >= _HYSTART_LEAST and train_s > half_s:
            self.threshold = min(self.threshold, self.window + half_s / self._frame_s)
        self.window = min(2 * self.window, self.threshold)

    def _on_curve(self, now_s: float) -> float:
        if self._epoch_s is None:
            self._epoch_s, self._origin = now_s, max(self._peak, self.window)
            self._k_s = math.cbrt((self._origin - self.window) / _C)
        at_s = (now_s - self._epoch_s + self._trip_s) / self._second_s - self._k_s
        target = max(self._origin + _C * at_s**3, self.window)
        if not self._peak:
            target = max(target, self.window * _EARLY_GROWTH)
        return min(target, 1.5 * self.window)

    def _lost(self, segments: float) -> bool:
        if self._chance is None:
            return False
        return self._chance() > math.pow(1 - self._loss, segments)

    def _reduce(self) -> None:
        self._epoch_s = None
        window = self.window
        self._peak = window * (1 + self._beta) / 2 if window < self._peak else window
        self.threshold = self.window = max(2.0, window * self._beta)
