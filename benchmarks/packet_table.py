"""Goodput, round trip and cost of packet links, with the kernel's tbf and the stream link beside.

Part of `python -m benchmarks.packet table`: one run, one machine, one table.
"""

import asyncio
import multiprocessing
import os
import socket
from dataclasses import dataclass
from statistics import median

import numpy as np

from benchmarks.links_server import processes, serve_forever
from benchmarks.links_transfers import Bench, raw_down, raw_up
from benchmarks.packet_rig import BYTES_PER_MBIT, Cell, Connection, connect
from netem.link import FRAME_BYTES, SEGMENT_BYTES
from netem.packet.errors import LinksUnavailable
from netem.packet.link import PacketLink
from netem.packet.net import PacketNet, PacketPair, PacketSettings
from netem.timer import timer_for

RATES_MBIT_S = (1, 5, 20, 100, 300)
RTT_S = 0.02
_PINGS = 60
_PING_WIRE_BYTES = 100 + FRAME_BYTES - SEGMENT_BYTES


@dataclass(frozen=True, slots=True)
class Row:
    """Goodput over what the rate leaves for payload; round trips beyond the asked, in ms."""

    up: float
    down: float
    rtt_error_ms: tuple[float, float] | None
    cpu_s_per_gbit: float | None


def packet_row(mbit_s: float, seconds: float) -> Row:
    cell = Cell(mbit_s, RTT_S)
    with cell.net() as net:
        connection = connect(net)
        asked_s = plain_s() + RTT_S + 2 * _PING_WIRE_BYTES / (mbit_s * BYTES_PER_MBIT)
        added_ms = (np.array(connection.ping(_PINGS)) - asked_s) * 1e3
        before_s, count = net.processor_s(), int(mbit_s * BYTES_PER_MBIT * seconds)
        up, down = (goodput(connection, count, mbit_s, way) for way in (True, False))
        used_s = net.processor_s() - before_s
        connection.close()
    p50, p99 = np.percentile(added_ms, [50, 99])
    return Row(up, down, (float(p50), float(p99)), used_s / (2 * count * 8 / 1e9))


def plain_s() -> float:
    """The same exchange over loopback: what the two ends themselves take."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    for end in (ours, theirs):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection = Connection(ours, theirs, 0.0)
    trips = connection.ping(_PINGS)
    connection.close()
    return median(trips)


def kernel_row(mbit_s: float, seconds: float) -> Row:
    link = PacketLink(mbit_s * BYTES_PER_MBIT, 0.0)
    with PacketNet([PacketPair(link, link)], PacketSettings(kind="kernel")) as net:
        connection = connect(net)
        count = int(mbit_s * BYTES_PER_MBIT * seconds)
        up, down = (goodput(connection, count, mbit_s, way) for way in (True, False))
        connection.close()
    return Row(up, down, None, None)


async def stream_row(ports: tuple[int, int], mbit_s: float, seconds: float) -> Row:
    timer = timer_for(asyncio.get_running_loop())
    bench = Bench(timer, *ports, seconds=seconds)
    count, cpu_s, shares = int(mbit_s * BYTES_PER_MBIT * seconds), os.times(), []
    for transfer in (raw_up, raw_down):
        links = bench.links(mbit_s, RTT_S * 1e3)
        arrivals = await transfer(bench, links, count)
        shares.append(arrivals.rate() / (mbit_s * BYTES_PER_MBIT))
        links.close()
    used_s = os.times().user + os.times().system - cpu_s.user - cpu_s.system
    timer.close()
    return Row(shares[0], shares[1], None, used_s / (2 * count * 8 / 1e9))


def goodput(connection: Connection, count: int, mbit_s: float, up: bool) -> float:
    """Over the second half of the bytes, of what framing leaves of the rate."""
    ideal = mbit_s * BYTES_PER_MBIT * SEGMENT_BYTES / FRAME_BYTES
    return connection.send(count, up).rate() / ideal


def table(seconds: float) -> None:
    load = ", ".join(f"{x:.2f}" for x in os.getloadavg())
    print(f"{os.cpu_count()} cores, load {load}; {seconds:g} s each way, RTT {RTT_S * 1e3:g} ms")
    print("packet: goodput up, down; RTT error p50/p99 ms; CPU-s/Gbit | tbf | stream; CPU-s/Gbit")
    mine, theirs = multiprocessing.get_context("spawn").Pipe()
    errors_ms = []
    with processes(serve_forever, 1, theirs):
        ports = mine.recv()
        for mbit_s in RATES_MBIT_S:
            row = packet_row(mbit_s, seconds)
            beside = asyncio.run(stream_row(ports, mbit_s, seconds))
            p50, p99 = row.rtt_error_ms or (0.0, 0.0)
            errors_ms.append(p50)
            print(
                f"{mbit_s:4d} Mbit/s  {row.up:7.2%} {row.down:7.2%}  {p50:+.2f}/{p99:+.2f}"
                f"  {row.cpu_s_per_gbit:5.1f} | {_kernel(mbit_s, seconds)} |"
                f" {beside.up:7.2%} {beside.down:7.2%}  {beside.cpu_s_per_gbit:5.1f}",
                flush=True,
            )
    print(f"median RTT error {median(errors_ms):+.2f} ms")


def _kernel(mbit_s: float, seconds: float) -> str:
    try:
        row = kernel_row(mbit_s, seconds)
    except LinksUnavailable as error:
        return str(error)
    return f"{row.up:7.2%} {row.down:7.2%}"
