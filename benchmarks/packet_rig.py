"""Transfers between the kernel's own TCPs over one packet link: what really happens on such a link.

For `benchmarks.packet`, and for whoever wants the truth to compare a model with:

    cell = Cell(mbit_s=20, rtt_s=0.05, loss=0.01, congestion="reno")
    with cell.net() as net:
        print(transfer(net, 1_000_000).seconds)
"""

import json
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from netem.packet.addresses import HUB
from netem.packet.link import PacketLink
from netem.packet.net import PacketNet, PacketPair, PacketSettings

BYTES_PER_MBIT = 1e6 / 8
_PIECE = 1 << 18


@dataclass(frozen=True, slots=True)
class Cell:
    """A symmetric link and what TCP does about it. `queue_bytes` None: the packet link's default
    (the longer of a round trip and 100 ms)."""

    mbit_s: float
    rtt_s: float
    loss: float = 0.0
    queue_bytes: int | None = None
    congestion: str = "cubic"
    seed: int = 0

    def link(self) -> PacketLink:
        rate = self.mbit_s * BYTES_PER_MBIT
        return PacketLink(rate, self.rtt_s / 2, self.queue_bytes, loss=self.loss)

    def net(self, user_namespace: bool = False) -> PacketNet:
        link = self.link()
        settings = PacketSettings(self.seed, user_namespace=user_namespace)
        return PacketNet([PacketPair(link, link, self.congestion)], settings)


@dataclass(frozen=True, slots=True)
class Transfer:
    """`seconds`: from the sender's first call to the receiver's last byte, the connection being
    there; `connect_s`: what that took before. `curve`: (seconds, bytes) at the receiver."""

    connect_s: float
    seconds: float
    curve: Sequence[tuple[float, int]] = field(repr=False)

    def rate(self) -> float:
        """Payload bytes a second over the second half of the bytes."""
        half = self.curve[-1][1] / 2
        start_s, start = next(point for point in self.curve if point[1] >= half)
        end_s, end = self.curve[-1]
        return (end - start) / (end_s - start_s) if end_s > start_s else float("inf")


@dataclass(frozen=True, slots=True)
class Connection:
    """A device's end, the hub's, and how long it took to make."""

    device: socket.socket
    hub: socket.socket
    connect_s: float

    def send(self, count: int, up: bool) -> Transfer:
        sender, receiver = (self.device, self.hub) if up else (self.hub, self.device)
        curve: list[tuple[float, int]] = []
        sending = threading.Thread(target=sender.sendall, args=(bytes(count),))
        start_s, got = time.monotonic(), 0
        sending.start()
        while got < count and (piece := len(receiver.recv(_PIECE))):
            got += piece
            curve.append((time.monotonic() - start_s, got))
        sending.join()
        return Transfer(self.connect_s, curve[-1][0], curve)

    def ping(self, count: int, size: int = 100) -> list[float]:
        """Seconds of so many round trips of `size` bytes, a little apart."""
        trips = []
        echo = threading.Thread(target=_echo, args=(self.hub, count, size))
        echo.start()
        for _ in range(count):
            time.sleep(0.02)  # an idle link before each
            start_s = time.monotonic()
            self.device.sendall(bytes(size))
            _exactly(self.device, size)
            trips.append(time.monotonic() - start_s)
        echo.join()
        return trips

    def close(self) -> None:
        self.device.close()
        self.hub.close()


def connect(net: PacketNet, device: int = 0) -> Connection:
    ours = net.socket(device)
    start_s = time.monotonic()
    ours.connect((HUB, net.port(device)))
    connect_s = time.monotonic() - start_s
    theirs, _ = net.listeners[0].accept()
    for end in (ours, theirs):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Connection(ours, theirs, connect_s)


def transfer(net: PacketNet, count: int, up: bool = False) -> Transfer:
    """So many bytes over a fresh connection."""
    connection = connect(net)
    try:
        return connection.send(count, up)
    finally:
        connection.close()


def as_line(cell: Cell, count: int, up: bool, one: Transfer, gauges: tuple[int, int]) -> str:
    """For machines: one line of JSON."""
    ideal = cell.mbit_s * BYTES_PER_MBIT * 1448 / 1514
    return json.dumps(
        {
            "mbit_s": cell.mbit_s,
            "rtt_s": cell.rtt_s,
            "loss": cell.loss,
            "queue_bytes": cell.link().limit_bytes,
            "congestion": cell.congestion,
            "bytes": count,
            "direction": "up" if up else "down",
            "connect_s": round(one.connect_s, 6),
            "seconds": round(one.seconds, 6),
            "mbit_s_mean": round(count / one.seconds / BYTES_PER_MBIT, 4),
            "rate_over_ideal_second_half": round(one.rate() / ideal, 5),
            "wire_bytes_up_down": gauges,
        }
    )


def _echo(end: socket.socket, count: int, size: int) -> None:
    for _ in range(count):
        _exactly(end, size)
        end.sendall(bytes(size))


def _exactly(end: socket.socket, size: int) -> None:
    while size and (got := len(end.recv(size))):
        size -= got
