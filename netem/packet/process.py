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
from typing import Any

from netem.packet.control import Control
from netem.packet.emulated import EmulatedLinks
from netem.packet.errors import LinksLost, LinksUnavailable
from netem.packet.holder import Holder, Links, furnished
from netem.packet.namespaces import Namespace, enter_user_namespace
from netem.packet.traffic_control import KernelLinks

_PR_SET_TIMERSLACK = 29
_NICENESS = -10


def hurry() -> None:
    """Be woken in time, as far as this user may ask for it."""
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
        except PermissionError:
            return


def first_namespace(user_namespace: bool) -> Namespace:
    """Inside a user namespace if told to, or if there is no other way."""
    if not user_namespace:
        try:
            return furnished()
        except LinksUnavailable:
            pass
    enter_user_namespace()
    return furnished()


def made(setup: dict[str, Any]) -> Holder:
    hub = first_namespace(setup["user_namespace"])
    if setup["kind"] == "kernel":
        links: Links = KernelLinks(hub, setup["rates_only"])
    else:
        links = EmulatedLinks(len(setup["links"]), setup["seed"])
    return Holder(hub, links, setup)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the testbed decides when to stop
    control = Control(socket.socket(fileno=int(sys.argv[1])))
    try:
        setup, _ = control.receive()
        hurry()
        holder = made(setup)
        gc.collect()
        gc.freeze()
        gc.disable()  # the loop makes no cycles
        holder.serve(control)
    except LinksLost:
        return
    except LinksUnavailable as error:
        control.send({"error": str(error)})


if __name__ == "__main__":
    main()
