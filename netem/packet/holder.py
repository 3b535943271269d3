"""Namespaces for a fleet, sockets inside them, and answers to what the testbed asks.

Which links lie between the namespaces is somebody else's business (`Links`). Nothing made here has
a name: it goes with the process.
"""

import socket
from collections.abc import Callable
from typing import Any, Protocol

from netem.packet.addresses import HUB, device_address
from netem.packet.control import Control
from netem.packet.errors import LinksLost, LinksUnavailable
from netem.packet.namespaces import Namespace, set_option
from netem.packet.netlink import raise_device

OPTIONS = (
    ("ipv6.conf.all.disable_ipv6", "1"),  # no neighbour discovery on the emulated wire
    ("ipv4.tcp_no_metrics_save", "1"),  # a fresh connection knows nothing of those before it
    ("ipv4.tcp_rmem", "4096 131072 67108864"),  # room for the window of any link, where the
    ("ipv4.tcp_wmem", "4096 16384 67108864"),  # host's own limits would cut it off
)

_DATAGRAMS_BYTES = 4 << 20
"""Or as much as the host lets wait: what is counted must not be lost in front of who counts it."""

Answering = Callable[[], bool]
"""Answers one question; False when nobody will ask any more."""


class Links(Protocol):
    """What lies between the devices' namespaces and the hub's."""

    gauge: int
    """A descriptor that the testbed reads the bytes passed from."""

    lacks: str | None
    """What was asked for and left out."""

    def connect(self, device: int, ends: tuple[Namespace, Namespace], pair: dict[str, Any]) -> None:
        """Link the device's namespace and the hub's."""
        ...

    def restart(self, device: int) -> None: ...

    def fidelity(self, device: int) -> dict[str, Any]: ...

    def begin(self) -> float:
        """Everything is set up: what changes with time is counted from this instant of the
        monotonic clock."""
        ...

    def play(self, control: int, answer: Answering) -> None:
        """Until `answer`, called whenever the descriptor can be read, says that it is over."""
        ...


class Holder:
    """The namespaces of a fleet. `hub` is made before, as the first."""

    def __init__(self, hub: Namespace, links: Links, setup: dict[str, Any]) -> None:
        self._links = links
        self._hub = hub
        self._congestion: list[str] = [pair["congestion"] for pair in setup["links"]]
        self._devices = [furnished() for _ in setup["links"]]
        for device, pair in enumerate(setup["links"]):
            links.connect(device, (self._devices[device], hub), pair)
        hub.enter()
        self._listeners = {name: _new_socket(name) for name in sorted(set(self._congestion))}
        """What they accept inherits their congestion control."""
        for listener in self._listeners.values():
            listener.bind(("", 0))
            listener.listen(1024)

    def serve(self, control: Control) -> None:
        """Until the testbed goes."""
        ports = {name: listener.getsockname()[1] for name, listener in self._listeners.items()}
        listeners = [listener.fileno() for listener in self._listeners.values()]
        told = {"ports": ports, "lacks": self._links.lacks, "begin_s": self._links.begin()}
        control.send(told, (self._links.gauge, *listeners))
        for listener in self._listeners.values():
            listener.close()

        def answer() -> bool:
            try:
                question, _ = control.receive()
                self._answer(control, question["what"], question["device"])
            except LinksLost:
                return False
            return True

        self._links.play(control.fileno(), answer)

    def _answer(self, control: Control, what: str, device: int) -> None:
        if what == "socket":
            self._devices[device].enter()
            with _new_socket(self._congestion[device]) as made:
                control.send({}, (made.fileno(),))
        elif what == "datagrams":
            with self._datagram_socket(device) as ours, self._datagram_socket(None) as theirs:
                ours.connect(theirs.getsockname())
                theirs.connect(ours.getsockname())
                control.send({}, (ours.fileno(), theirs.fileno()))
        elif what == "restart":
            self._links.restart(device)
            control.send({})
        else:
            control.send(self._links.fidelity(device))

    def _datagram_socket(self, device: int | None) -> socket.socket:
        """UDP at a device; None: at the hub."""
        (self._hub if device is None else self._devices[device]).enter()
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((HUB if device is None else device_address(device), 0))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _DATAGRAMS_BYTES)
        return made


def furnished() -> Namespace:
    """A new namespace with its options set and its loopback up, entered."""
    namespace = Namespace()
    for name, value in OPTIONS:
        set_option(name, value)
    raise_device("lo")
    return namespace


def _new_socket(congestion: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
    except OSError as error:
        made.close()
        raise LinksUnavailable(
            f"congestion control {congestion}: {error.strerror}: see"
            " /proc/sys/net/ipv4/tcp_available_congestion_control"
        ) from error
    return made
