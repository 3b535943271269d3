"""The kernel's own timer as a descriptor: wakes a poll at an absolute instant, to the microsecond.

Linux only; os.timerfd_create exists from Python 3.13 on. Knows no loop and no alarm.
"""

import ctypes
import math
import os

_CLOCK_MONOTONIC = 1
_TFD_FLAGS = 0o2000000 | 0o4000  # TFD_CLOEXEC | TFD_NONBLOCK (x86, ARM, RISC-V)
_TFD_TIMER_ABSTIME = 1


class _Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("it_interval", _Timespec), ("it_value", _Timespec))


class Timerfd:
    """Readable from the instant set until it is set anew. Raises OSError where there is none."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor: int = libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_FLAGS)
        if self.descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._settime = libc.timerfd_settime
        self._spec = _Itimerspec()
        self._reference = ctypes.byref(self._spec)

    def set(self, when_s: float) -> None:
        """Of time.monotonic; `inf`: never. Setting the time also clears an expiry, so that the
        descriptor need not be read."""
        nanoseconds = 0 if when_s == math.inf else max(1, math.ceil(when_s * 1e9))  # 0: disarm
        value = self._spec.it_value
        value.tv_sec, value.tv_nsec = divmod(nanoseconds, 1_000_000_000)
        if self._settime(self.descriptor, _TFD_TIMER_ABSTIME, self._reference, None):
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
