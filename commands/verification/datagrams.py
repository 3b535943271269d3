"""Datagrams through a packet link, sent by a schedule and counted where they arrive: what a link
does to packets, whatever TCP would make of it."""

import asyncio
import select
import socket
import time
from collections.abc import Callable

from commands.verification.far_end import Arrivals

DATAGRAM_BYTES = 1472
"""Fills a packet of 1500 bytes, a frame of 1514."""
_TICK_S = 0.002

Schedule = Callable[[float], float]
"""How many datagrams are to have been sent by an instant of the monotonic clock."""


async def through(
    ends: tuple[socket.socket, socket.socket], schedule: Schedule, until_s: float, size: int
) -> tuple[int, Arrivals]:
    """How many were sent from the first end, and what came at the second by `until_s`. In a thread
    of its own, so that nothing waits for an event loop."""
    return await asyncio.to_thread(_through, ends, schedule, until_s, size)


def _through(
    ends: tuple[socket.socket, socket.socket], schedule: Schedule, until_s: float, size: int
) -> tuple[int, Arrivals]:
    sender, receiver = ends
    for end in ends:
        end.setblocking(False)
    sent, arrivals, datagram = 0, Arrivals(), bytes(size)
    while (now_s := time.monotonic()) < until_s:
        wanted = schedule(now_s)
        while sent < wanted and _sent(sender, datagram):
            sent += 1
        if select.select([receiver], [], [], _TICK_S)[0]:
            _drain(receiver, arrivals)
    return sent, arrivals


def _sent(sender: socket.socket, datagram: bytes) -> bool:
    try:
        sender.send(datagram)
    except BlockingIOError:
        return False
    return True


def _drain(receiver: socket.socket, arrivals: Arrivals) -> None:
    try:
        while True:
            arrivals.add(len(receiver.recv(2048)), time.monotonic())
    except BlockingIOError:
        return
