"""The receive window's growth, as Linux has it; it matters for the pattern of acknowledgements,
since every segment that lets the window grow is acknowledged alone.

The window follows a limit, and the limit twice what the application took in the last round trip,
or more while that grows. It never holds a sender back: Linux sees to that, and so does this.
"""

from netem.link import SEGMENT_BYTES

_FIRST_WINDOW_BYTES = 65160
_FIRST_LIMIT_BYTES = 81000  # of a socket's 128 KiB (tcp_rmem[1]) what holds payload; as measured
_FIRST_SPACE_BYTES = 10 * SEGMENT_BYTES


class ReceiveWindow:
    """`rtt_s`: how often the limit is reconsidered."""

    __slots__ = ("_bytes", "_copied", "_limit", "_rtt_s", "_since_s", "_space")

    def __init__(self, rtt_s: float) -> None:
        self._rtt_s = rtt_s
        self._bytes, self._limit = _FIRST_WINDOW_BYTES, _FIRST_LIMIT_BYTES
        self._space, self._copied = _FIRST_SPACE_BYTES, 0
        self._since_s: float | None = None

    def grows(self, at_s: float, count: int) -> bool:
        """So many full segments arrive in order: whether that lets the window grow."""
        self._copied += count * SEGMENT_BYTES
        if self._since_s is None:
            self._since_s = at_s
        elif at_s - self._since_s >= self._rtt_s:
            self._reconsider(at_s)
        if self._bytes >= self._limit:
            return False
        self._bytes += 2 * count * SEGMENT_BYTES
        return True

    def _reconsider(self, at_s: float) -> None:
        copied = self._copied
        if copied > self._space:
            twice = 2 * copied
            limit = twice + 2 * (twice * (copied - self._space) // self._space)
            self._limit, self._space = max(self._limit, limit), copied
        self._since_s, self._copied = at_s, 0
