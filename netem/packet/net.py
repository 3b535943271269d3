"""The testbed's side of packet links: starts the process that plays them, gets sockets from it."""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from netem.packet.control import Control
from netem.packet.errors import LinksLost, LinksUnavailable
from netem.packet.gauges import Gauges, InterfaceGauges
from netem.packet.link import PacketLink

_ROOT = Path(__file__).parents[2]
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""A process with several threads cannot enter a user namespace."""
_PATIENCE_S = 5.0
"""For a process that has lost its line: it ends at once unless the host stands still."""


@dataclass(frozen=True, slots=True)
class PacketPair:
    """Up and down of a device, and its TCP's congestion control, by the kernel's name."""

    up: PacketLink
    down: PacketLink
    congestion: str = "cubic"


@dataclass(frozen=True, slots=True)
class PacketSettings:
    """`kind`: "packet", where a process of ours plays the links, or "kernel", where the kernel
    does; `rates_only` has a kernel that lacks netem do without delays. A user namespace needs no
    right that a user does not have: it is taken where there is no other way, or if told to."""

    seed: int = 0
    kind: str = "packet"
    rates_only: bool = False
    user_namespace: bool = False


class PacketNet:
    """The links of these devices, each in a namespace of its own, and the hub that they lead to.

    Raises LinksUnavailable with one line that says what the system does not allow, LinksLost if
    the process dies of something else.
    """

    def __init__(self, pairs: Sequence[PacketPair], settings: PacketSettings) -> None:
        if sys.platform != "linux":
            raise LinksUnavailable("needs Linux: network namespaces and TUN devices")
        self.devices = len(pairs)
        mine, theirs = socket.socketpair()
        with theirs:
            self._process = _start(theirs)
        self._control = Control(mine)
        self._mine = ExitStack()
        try:
            self._control.send(_setup(pairs, settings))
            answer, descriptors = self._control.receive()
        except LinksLost:
            self.close()
            raise
        if "error" in answer:
            self.close()
            raise LinksUnavailable(answer["error"])
        gauge, *listeners = descriptors
        self.listeners = [
            self._mine.enter_context(socket.socket(fileno=listener)) for listener in listeners
        ]
        """Where the hub accepts connections, one for each congestion control."""
        self.lacks: str | None = answer["lacks"]
        """What was asked for and left out, where that was allowed."""
        self.begin_s: float = answer["begin_s"]
        """Of the monotonic clock: what changes with time is counted from there."""
        self._ports: dict[str, int] = answer["ports"]
        self._pairs = tuple(pairs)
        self.gauges: Gauges | InterfaceGauges = (
            Gauges(gauge, len(pairs)) if settings.kind == "packet" else InterfaceGauges(gauge)
        )
        self._mine.callback(self.gauges.close)

    def port(self, device: int) -> int:
        """Where at the hub the device finds what it looks for."""
        return self._ports[self._pairs[device].congestion]

    def datagrams(self, device: int) -> tuple[socket.socket, socket.socket]:
        """UDP sockets inside the device's namespace and at the hub, connected to one another, for
        whoever counts what crosses the link. Raises LinksLost."""
        _, (inside, hub) = self._ask("datagrams", device)
        return socket.socket(fileno=inside), socket.socket(fileno=hub)

    def socket(self, device: int) -> socket.socket:
        """A new TCP socket inside the device's namespace. Raises LinksLost."""
        _, (descriptor,) = self._ask("socket", device)
        return socket.socket(fileno=descriptor)

    def restart(self, device: int) -> None:
        """Forget how exact the device's links were so far."""
        self._ask("restart", device)

    def fidelity(self, device: int) -> dict[str, Any]:
        """How exact they were since: see FidelityMeter.merge_links."""
        return self._ask("fidelity", device)[0]

    @property
    def pid(self) -> int:
        return self._process.pid

    def processor_s(self) -> float:
        """What the process has taken so far (proc(5), stat)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def fileno(self) -> int:
        """Becomes readable when the process has died."""
        return self._control.fileno()

    def _ask(self, what: str, device: int) -> tuple[dict[str, Any], list[int]]:
        self._control.send({"what": what, "device": device})
        return self._control.receive()

    def close(self) -> None:
        """Everything is gone when this returns, but for sockets still open."""
        self._mine.close()
        self._control.close()
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _start(line: socket.socket) -> subprocess.Popen[bytes]:
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-m", "netem.packet.process", str(line.fileno())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=(line.fileno(),),
        env=os.environ | {"PYTHONPATH": path, **_ONE_THREAD},
    )


def _setup(pairs: Sequence[PacketPair], settings: PacketSettings) -> dict[str, Any]:
    return asdict(settings) | {
        "links": [
            {
                "up": pair.up.to_mapping(),
                "down": pair.down.to_mapping(),
                "congestion": pair.congestion,
            }
            for pair in pairs
        ],
    }
