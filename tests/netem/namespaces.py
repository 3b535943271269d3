"""Whether this system lets the tests have network namespaces, and if not, why; and whether any are
left behind."""

import os
import select
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from netem.packet.errors import LinksUnavailable
from netem.packet.net import PacketNet, PacketSettings


@cache
def missing(user_namespace: bool = False) -> str | None:
    """What the system says it does not allow."""
    try:
        PacketNet((), PacketSettings(user_namespace=user_namespace)).close()
    except LinksUnavailable as error:
        return str(error)
    return None


def need_namespaces(user_namespace: bool = False) -> None:
    """Skip the test where there are none to be had."""
    if (reason := missing(user_namespace)) is not None:
        pytest.skip(reason)


LIMIT_S = 30.0


def check_killed_without_trace(pid: int, namespaces: int) -> None:
    """Kill a process: its family ends, and with it the last that held its network namespaces."""
    family = {pid, *_descendants(pid)}
    held = set().union(*map(_namespaces_of, family)) - _namespaces_of(os.getpid())
    assert len(held) == namespaces
    watched = [os.pidfd_open(member) for member in family]
    os.kill(pid, signal.SIGKILL)
    for member in watched:
        assert select.select([member], [], [], LIMIT_S)[0], "outlived what was killed"
        os.close(member)
    holders = [p.name for p in Path("/proc").glob("[0-9]*") if _namespaces_of(int(p.name)) & held]
    assert holders == []
    mounted = Path("/proc/self/mountinfo").read_text()
    assert not any(name in mounted for name in held)


def _descendants(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            yield child
            yield from _descendants(child)


def _namespaces_of(pid: int) -> set[str]:
    """The network namespaces that a process is in or holds by a descriptor."""
    found = set()
    try:
        for path in (Path(f"/proc/{pid}/ns/net"), *Path(f"/proc/{pid}/fd").iterdir()):
            name = os.readlink(path)
            if name.startswith("net:["):
                found.add(name)
    except OSError:
        return found  # it has just ended, or is somebody else's
    return found
