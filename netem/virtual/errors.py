"""What goes wrong under a virtual clock only. Each says what led there."""


class VirtualClockError(RuntimeError):
    """Something that makes no sense while time is virtual."""


class Deadlock(VirtualClockError):
    """Everybody waits and no timer is left: in wall time this would hang for ever."""


class RealWorld(VirtualClockError):
    """The real network, another process or a real wait: none of them follows a virtual clock."""
