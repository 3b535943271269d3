"""One transfer over a fresh connection, by every kind of link, with what arithmetic says beside.

Part of `python -m benchmarks.packet cells`: one run, one machine, one table. The kernel's own TCP
over packet links is what the others are compared with; over its own tbf and netem it runs where the
kernel has netem, since without it there is no delay.
"""

import asyncio
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import mean, median

from benchmarks.cores import Cores
from benchmarks.links_server import CHUNK, Arrivals, processes, serve_forever
from benchmarks.links_transfers import Bench, stream
from benchmarks.packet_rig import BYTES_PER_MBIT, connect
from netem.device import DeviceLinks, LinkPair
from netem.link import FRAME_BYTES, SEGMENT_BYTES
from netem.packet.errors import LinksUnavailable
from netem.packet.link import PacketLink, PacketLinkError
from netem.packet.net import PacketNet, PacketPair, PacketSettings
from netem.timer import timer_for
from tests.netem.tcp_rig import Cell, transfer_s

LINKS = ((20, 50), (20, 200), (100, 20), (100, 100))
SIZES = (100_000, 1_000_000, 10_000_000)
QUEUE_S = 0.2
_ONCE_BYTES = 10_000_000
"""So many take long enough for one measurement to do."""
NAMES = ("kernel links", "stream link", "its model", "rate + delay")


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of one cell; None: not to be had here."""

    packet_s: float
    beside_s: tuple[float | None, ...]
    """In the order of NAMES."""

    def errors(self) -> list[float | None]:
        return [None if s is None else s / self.packet_s - 1 for s in self.beside_s]


def cells(repeats: int) -> None:
    load = ", ".join(f"{x:.2f}" for x in os.getloadavg())
    print(
        f"{os.cpu_count()} cores, load {load}; CUBIC, queue {QUEUE_S * 1e3:g} ms, fresh connection"
    )
    print(f"{'':30s}packet links    " + "".join(f"{name:>22s}" for name in NAMES))
    mine, theirs = multiprocessing.get_context("spawn").Pipe()
    cores, every = Cores.now(), []
    with processes(serve_forever, 1, theirs):
        ports = mine.recv()
        for mbit_s, rtt_ms in LINKS:
            cell = Cell(mbit_s, rtt_ms, mbit_s * BYTES_PER_MBIT * QUEUE_S)
            for count in SIZES:
                times = _times(cell, count, ports, 1 if count >= _ONCE_BYTES else repeats)
                every.append(times)
                print(_row(cell, count, times), flush=True)
    for name, errors in zip(NAMES, zip(*(t.errors() for t in every), strict=True), strict=True):
        known = [abs(error) for error in errors if error is not None]
        if known:
            print(f"{name:12s} error: mean {mean(known):.2%}, worst {max(known):.2%}")
        else:
            print(f"{name:12s} not to be had here: {_lacking()}")
    print(cores.since())


def _times(cell: Cell, count: int, ports: tuple[int, int], repeats: int) -> Times:
    def often(measure: Callable[[], float]) -> float:
        return median(measure() for _ in range(repeats))

    with _net(cell, "tun") as net:
        packet_s = often(lambda: _between_kernels(net, count))
    try:
        with _net(cell, "kernel") as net:
            kernel_s: float | None = often(lambda: _between_kernels(net, count))
    except (LinksUnavailable, PacketLinkError):
        kernel_s = None
    stream_s = often(lambda: asyncio.run(_over_stream(cell, count, ports)))
    wire_s = count * FRAME_BYTES / SEGMENT_BYTES / (cell.mbit_s * BYTES_PER_MBIT)
    plain_s = wire_s + cell.rtt_ms / 2e3
    return Times(packet_s, (kernel_s, stream_s, transfer_s(cell, count), plain_s))


@contextmanager
def _net(cell: Cell, kind: str) -> Iterator[PacketNet]:
    rate, delay_s = cell.mbit_s * BYTES_PER_MBIT, cell.rtt_ms / 2e3
    link = PacketLink(rate, delay_s, int(cell.queue_bytes))
    settings = PacketSettings() if kind == "tun" else PacketSettings(kind=kind)
    with PacketNet([PacketPair(link, link, cell.congestion_control)], settings) as net:
        yield net


def _lacking() -> str:
    """Why the kernel's own links cannot have a delay here."""
    try:
        with _net(Cell(20, 50, 500_000), "kernel"):
            return ""
    except (LinksUnavailable, PacketLinkError) as error:
        return str(error)


def _between_kernels(net: PacketNet, count: int) -> float:
    connection = connect(net)
    try:
        return connection.send(count, up=True).seconds
    finally:
        connection.close()


async def _over_stream(cell: Cell, count: int, ports: tuple[int, int]) -> float:
    """Through real sockets, from the first byte offered to the last one's arrival."""
    timer = timer_for(asyncio.get_running_loop())
    links = DeviceLinks(LinkPair(cell.link(), cell.link()), timer)
    try:
        async with stream(Bench(timer, *ports, seconds=0.0), links) as (reader, writer):
            start_s = time.monotonic()
            order = b"U %d\n" % count  # in the first segment: one of its own may cost a round trip
            writer.write(order + CHUNK[:count])
            for start in range(len(CHUNK), count, len(CHUNK)):
                await writer.drain()
                writer.write(CHUNK[: count - start])
            arrivals = Arrivals(*json.loads(await reader.readline()))
    finally:
        links.close()
        timer.close()
    return arrivals.times_s[-1] - start_s


def _row(cell: Cell, count: int, times: Times) -> str:
    shown = [
        "-" if seconds is None or error is None else f"{seconds:8.4f} s {error:+7.1%}"
        for seconds, error in zip(times.beside_s, times.errors(), strict=True)
    ]
    name = f"{cell.mbit_s:4g} Mbit/s {cell.rtt_ms:4g} ms {count / 1e6:5g} MB"
    return f"{name:30s}{times.packet_s:8.4f} s      " + "".join(f"{one:>22s}" for one in shown)
