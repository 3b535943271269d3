"""Network interfaces made and changed by netlink, so that no tool of the host is needed. Works on
the namespace that the thread has entered. Knows nothing of links.

Sources: Linux, include/uapi/linux/netlink.h, rtnetlink.h, if.h, if_addr.h, if_link.h, veth.h.
"""

import os
import socket
import struct

_NEW_LINK, _NEW_ADDRESS, _NLMSG_ERROR = 16, 20, 2
_REQUEST_ACK, _CREATE = 0x1 | 0x4, 0x200 | 0x400  # the latter with EXCL: never change what is there
_UP, _NO_ARP = 0x1, 0x80
_ADDRESS, _IFNAME, _TXQLEN, _LINKINFO, _NET_NS_FD, _GSO_MAX_SEGS = 1, 3, 13, 18, 28, 40
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_NESTED = 0x8000
_ANY_MAC = bytes((2, 0, 0, 0, 0, 1))


def connect(name: str, address: str, peer: str) -> None:
    """Bring a device up, with an address and a route to its peer's."""
    index = socket.if_nametoindex(name)
    ends = _attribute(_IFA_LOCAL, socket.inet_aton(address))
    ends += _attribute(_IFA_ADDRESS, socket.inet_aton(peer))
    _request(_NEW_ADDRESS, struct.pack("BBBBI", socket.AF_INET, 32, 0, 0, index) + ends, _CREATE)
    raise_device(name)


def raise_device(name: str) -> None:
    _request(_NEW_LINK, _interface(socket.if_nametoindex(name), _UP))


def set_queue_length(name: str, packets: int) -> None:
    """How many packets may wait in front of a device."""
    length = _attribute(_TXQLEN, struct.pack("I", packets))
    _request(_NEW_LINK, _interface(socket.if_nametoindex(name)) + length)


def make_veth(name: str, peer: str, namespace: int) -> None:
    """A pair of devices that hand packets to one another: one here, its peer in the namespace of
    this descriptor.

    One segment at a time, so that shapers and counters see what a wire would; and without ARP,
    which would have to cross the link first: both ends answer to the same hardware address.
    """
    same = _attribute(_ADDRESS, _ANY_MAC) + _attribute(_GSO_MAX_SEGS, struct.pack("I", 1))
    there = _named(peer) + same + _attribute(_NET_NS_FD, struct.pack("I", namespace))
    data = _attribute(_VETH_PEER | _NESTED, _interface(0, _NO_ARP) + there)
    kind = _attribute(_INFO_KIND, b"veth\0") + _attribute(_INFO_DATA | _NESTED, data)
    here = _named(name) + same + _attribute(_LINKINFO | _NESTED, kind)
    _request(_NEW_LINK, _interface(0, _NO_ARP) + here, _CREATE)


def _interface(index: int, flags: int = 0) -> bytes:
    """The device of this index (0: a new one), with these flags set."""
    return struct.pack("BxHiII", socket.AF_UNSPEC, 0, index, flags, flags)


def _named(name: str) -> bytes:
    return _attribute(_IFNAME, name.encode() + b"\0")


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _request(kind: int, body: bytes, flags: int = 0) -> None:
    """Raises OSError with the kernel's answer."""
    head = struct.pack("IHHII", 16 + len(body), kind, _REQUEST_ACK | flags, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as link:
        link.send(head + body)
        answer = link.recv(65536)
    said, code = struct.unpack_from("=4xH10xi", answer)
    if said != _NLMSG_ERROR or code:
        raise OSError(-code, os.strerror(-code))
