"""TUN devices: a network interface of the kernel's whose packets a process reads and writes.

Configured by the kernel's own calls, so that no tool of the host is needed. Knows nothing of
links. Sources: Linux, include/uapi/linux/if_tun.h, sockios.h, if_link.h, netlink.h; netdevice(7).
"""

import fcntl
import os
import socket
import struct

from netem.packet.errors import LinksUnavailable

MTU_BYTES = 1500
PATH = "/dev/net/tun"

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_IFF_UP = 0x1
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_SIOCSIFADDR, _SIOCSIFDSTADDR, _SIOCSIFNETMASK = 0x8916, 0x8918, 0x891C
_RTM_NEWLINK, _NLM_F_REQUEST, _NLM_F_ACK, _NLMSG_ERROR, _IFLA_TXQLEN = 16, 1, 4, 2, 13
_QUEUED_PACKETS = 20_000
"""Between the kernel and us. TCP is not held back by a full one but loses packets there, which no
link asked for: as many as the windows of a fast long link hold (600 Mbit/s at 0.4 s)."""


def open_tun(name: str, address: str, peer: str) -> int:
    """A new TUN device of this namespace, up, with a route to its peer. It is gone when its
    descriptor is closed."""
    try:
        descriptor = os.open(PATH, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(descriptor, _TUNSETIFF, _request(name, "H22x", _IFF_TUN | _IFF_NO_PI))
    except OSError as error:
        raise LinksUnavailable(f"{PATH}: {error.strerror}") from error
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFADDR, _address(name, address))
        fcntl.ioctl(control, _SIOCSIFDSTADDR, _address(name, peer))
        fcntl.ioctl(control, _SIOCSIFNETMASK, _address(name, "255.255.255.255"))
        _up(control, name)
    _set_queue_length(name, _QUEUED_PACKETS)
    return descriptor


def raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        _up(control, "lo")


def _set_queue_length(name: str, packets: int) -> None:
    """By netlink: the ioctl for it is closed to user namespaces."""
    index = socket.if_nametoindex(name)
    attribute = struct.pack("HHI", 8, _IFLA_TXQLEN, packets)
    body = struct.pack("BxHiII", socket.AF_UNSPEC, 0, index, 0, 0) + attribute
    head = struct.pack("IHHII", 16 + len(body), _RTM_NEWLINK, _NLM_F_REQUEST | _NLM_F_ACK, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as link:
        link.send(head + body)
        answer = link.recv(4096)
    kind, (code,) = struct.unpack_from("H", answer, 4)[0], struct.unpack_from("i", answer, 16)
    if kind != _NLMSG_ERROR or code:
        raise OSError(-code, f"{name}: queue length: {os.strerror(-code)}")


def _up(control: socket.socket, name: str) -> None:
    answer = fcntl.ioctl(control, _SIOCGIFFLAGS, _request(name, "h22x", 0))
    (flags,) = struct.unpack_from("h", answer, 16)
    fcntl.ioctl(control, _SIOCSIFFLAGS, _request(name, "h22x", flags | _IFF_UP))


def _address(name: str, address: str) -> bytes:
    family = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))
    return struct.pack("16s16s8x", name.encode(), family)


def _request(name: str, rest: str, value: int) -> bytes:
    return struct.pack("16s" + rest, name.encode(), value)
