"""The process that holds a fleet's namespaces and plays its links: `python -m netem.packet.process
DESCRIPTOR`, where the descriptor is its line to the testbed.

It makes sockets for the testbed inside the namespaces, so that the testbed itself needs no right
to enter them. It ends with its line: nothing it made has a name, so that all of it goes with it.
"""

import ctypes
import gc
import os
import signal
import socket
import sys
from random import Random
from typing import Any

from netem.fidelity import FidelityMeter
from netem.packet.addresses import HUB, device_address
from netem.packet.control import Control
from netem.packet.devices import open_tun, raise_loopback
from netem.packet.emulator import Direction, Emulator, Ends
from netem.packet.errors import LinksLost, LinksUnavailable
from netem.packet.gauges import Gauges, late_word, shared_memory, up_word
from netem.packet.namespaces import Namespace, enter_user_namespace, set_option
from netem.packet.queue import PacketLink, PacketQueue

OPTIONS = (
    ("ipv6.conf.all.disable_ipv6", "1"),  # no neighbour discovery on the emulated wire
    ("ipv4.tcp_no_metrics_save", "1"),  # a fresh connection knows nothing of those before it
    ("ipv4.tcp_rmem", "4096 131072 67108864"),  # room for the window of any link, where the
    ("ipv4.tcp_wmem", "4096 16384 67108864"),  # host's own limits would cut it off
)
_PR_SET_TIMERSLACK = 29


class Holder:
    """Namespaces, devices and links of a fleet, and the answers to what the testbed asks."""

    def __init__(self, control: Control, setup: dict[str, Any]) -> None:
        self._control = control
        self._congestion: str = setup["congestion"]
        pairs = setup["links"]
        if setup["user_namespace"]:
            enter_user_namespace()
        memory = shared_memory(len(pairs))
        self._hub = _furnished()
        self._devices = [_furnished() for _ in pairs]
        self.emulator = Emulator(Gauges(os.dup(memory), len(pairs)))
        self._meters = [FidelityMeter() for _ in pairs]
        for device, pair in enumerate(pairs):
            self._connect(device, pair, setup["seed"])
        self._hub.enter()
        with self._new_socket() as listener:
            listener.bind(("", 0))
            listener.listen(1024)
            port = listener.getsockname()[1]
            control.send({"port": port}, (memory, listener.fileno()))
        os.close(memory)

    def _connect(self, device: int, pair: dict[str, Any], seed: int) -> None:
        address = device_address(device)
        self._hub.enter()
        inner = open_tun(f"device{device}", HUB, address)
        self._devices[device].enter()
        outer = open_tun("uplink", address, HUB)
        meter, word, late = self._meters[device], up_word(device), late_word(device)
        for key, ends, offset in (("up", Ends(outer, inner), 0), ("down", Ends(inner, outer), 1)):
            queue = PacketQueue(
                PacketLink.from_mapping(pair[key]), Random(f"{seed}/{device}/{key}")
            )
            self.emulator.add(Direction(ends, queue, meter, (word + offset, late)))

    def answer(self) -> bool:
        """One question from the testbed; False when it has gone."""
        try:
            question, _ = self._control.receive()
            device = question["device"]
            if question["what"] == "socket":
                self._devices[device].enter()
                with self._new_socket() as made:
                    self._control.send({}, (made.fileno(),))
            elif question["what"] == "restart":
                self._meters[device].restart()
                self._control.send({})
            else:
                self._control.send(self._meters[device].links_to_mapping())
        except LinksLost:
            return False
        return True

    def _new_socket(self) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, self._congestion.encode())
        except OSError as error:
            raise LinksUnavailable(
                f"congestion control {self._congestion}: {error.strerror}: see"
                " /proc/sys/net/ipv4/tcp_available_congestion_control"
            ) from error
        return made


def _furnished() -> Namespace:
    namespace = Namespace()
    for name, value in OPTIONS:
        set_option(name, value)
    raise_loopback()
    return namespace


def hurry() -> None:
    """Be woken in time, as far as this user may ask for it."""
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        with_nice = max(-10, -20)
        try:
            os.setpriority(os.PRIO_PROCESS, 0, with_nice)
        except PermissionError:
            return


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the testbed decides when to stop
    control = Control(socket.socket(fileno=int(sys.argv[1])))
    try:
        setup, _ = control.receive()
        hurry()
        holder = Holder(control, setup)
    except LinksLost:
        return
    except LinksUnavailable as error:
        control.send({"error": str(error)})
        return
    gc.collect()
    gc.freeze()
    gc.disable()  # the loop makes no cycles
    holder.emulator.watch(control.fileno(), holder.answer)
    holder.emulator.run()


if __name__ == "__main__":
    main()
