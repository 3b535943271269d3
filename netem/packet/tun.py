"""TUN devices, whose packets a process reads and writes. Knows nothing of links.

Source: Linux, include/uapi/linux/if_tun.h.
"""

import fcntl
import os
import struct

from netem.packet.errors import LinksUnavailable
from netem.packet.netlink import connect, set_queue_length

PATH = "/dev/net/tun"

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_QUEUED_PACKETS = 20_000
"""Between the kernel and us. TCP is not held back by a full one but loses packets there, which no
link asked for: as many as the windows of a fast long link hold (600 Mbit/s at 0.4 s)."""


def open_tun(name: str, address: str, peer: str) -> int:
    """A new TUN device of this namespace, up, with a route to its peer. It is gone when its
    descriptor is closed."""
    try:
        descriptor = os.open(PATH, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        request = struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI)
        fcntl.ioctl(descriptor, _TUNSETIFF, request)
    except OSError as error:
        raise LinksUnavailable(f"{PATH}: {error.strerror}") from error
    set_queue_length(name, _QUEUED_PACKETS)
    connect(name, address, peer)
    return descriptor
