"""Network namespaces without names: one lives as long as a process, a socket or a descriptor that
refers to it, so that the kernel itself removes it when the last of them is gone, however that
happened. Linux only; knows nothing of links.
"""

import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from netem.packet.errors import LinksUnavailable

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000


def enter_user_namespace() -> None:
    """Become root of a user namespace of one's own, which may then have network namespaces.

    For a process with one thread. Raises LinksUnavailable where the system forbids it.
    """
    uid, gid = os.geteuid(), os.getegid()
    try:
        _system_call("unshare", _CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    except OSError as error:
        raise LinksUnavailable(
            f"user namespaces: {error.strerror}: run as root, or allow them to this user"
        ) from error


class Namespace:
    """A network namespace, held by a descriptor. Making one enters it."""

    def __init__(self) -> None:
        try:
            _system_call("unshare", _CLONE_NEWNET)
        except OSError as error:
            raise LinksUnavailable(f"network namespaces: {error.strerror}") from error
        self.descriptor = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def enter(self) -> None:
        """This thread's sockets and devices are made in it from now on."""
        _system_call("setns", self.descriptor, _CLONE_NEWNET)


def set_option(name: str, value: str) -> bool:
    """Set a networking option (sysctl `net.*`) of the namespace entered last. False where there
    is no such option or it is not ours to set, as in many containers."""
    path = Path("/proc/sys/net", *name.split("."))
    try:
        path.write_text(value)
    except OSError:
        return False
    return True


def _system_call(name: str, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    function: Callable[..., Any] = getattr(libc, name)
    if function(*arguments):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
