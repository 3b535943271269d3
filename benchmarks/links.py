"""How exact are the emulated links? Measures them on this machine and prints tables.

    python -m benchmarks.links [--quick] [--only PART]...

A plain server (asyncio streams, aiohttp) runs in a process of its own; the shaped clients run
here, as workers do. Transfers are timed at the receiving side. Each table ends with how busy the
machine was meanwhile: figures from one that is shared or whose cores are stolen say little.
"""

import argparse
import asyncio
import multiprocessing
import os
import time
from collections.abc import Coroutine, Sequence
from typing import Any

import numpy as np

from benchmarks.cores import Cores, pulse
from benchmarks.links_server import PING_BYTES, Arrivals, processes, serve_forever
from benchmarks.links_training import training
from benchmarks.links_transfers import BYTES_PER_MBIT, TRANSFERS, Bench, stream
from commands.verification.bounds import rates_off
from netem.calibration import measure_added_latency
from netem.channel import Parcel
from netem.device import DeviceLinks, LinkPair
from netem.fidelity import FidelityMeter, Measured
from netem.jitter import DISTRIBUTIONS, Jitter
from netem.junction import Crossing, SharedLinks
from netem.link import FRAME_BYTES, SEGMENT_BYTES, LinkParameters, wire_bytes
from netem.shared import SharedWire
from netem.timer import timer_for


async def cpu_share(work: Coroutine[Any, Any, Any]) -> tuple[Any, float]:
    wall_s, cpu_s = time.monotonic(), time.process_time()
    result = await work
    return result, (time.process_time() - cpu_s) / (time.monotonic() - wall_s)


def per_cent(errors: Sequence[float]) -> str:
    sizes = [abs(e) * 100 for e in errors]
    return f"{np.median(sizes):7.3f} {max(sizes):7.3f}"


def lateness(measured: Measured) -> str:
    figures = (measured.lateness_ms_p50, measured.lateness_ms_p99, measured.lateness_ms_max)
    return " ".join(f"{figure or 0:7.3f}" for figure in figures)


async def rates(bench: Bench, quick: bool) -> None:
    print(
        "\nOne flow: rate error in % (signed), 100 ms windows p1-p99, CPU, lateness p50/p99/max ms"
    )
    grid = [(m, r) for m in (1, 5, 20, 100, 200) for r in (5, 50, 200)]
    grid = [(1, 50), (20, 50), (100, 5), (200, 200)] if quick else grid
    errors: dict[str, list[float]] = {name: [] for name in TRANSFERS}
    for mbit_s, rtt_ms in grid:
        for name, transfer in TRANSFERS.items():
            links = bench.links(mbit_s, rtt_ms)
            count = int(mbit_s * BYTES_PER_MBIT * bench.seconds)
            arrivals, cpu = await cpu_share(transfer(bench, links, count))
            links.close()
            asked = mbit_s * BYTES_PER_MBIT
            error = arrivals.rate() / asked - 1
            errors[name].append(error)
            low, high = np.percentile(np.array(arrivals.windows()) / asked, [1, 99])
            print(
                f"{mbit_s:4d} Mbit/s {rtt_ms:4d} ms  {name:9s} {error * 100:+7.3f} %"
                f"  {low:.3f}-{high:.3f}  {cpu:4.0%}  {lateness(links.meter.measured())}"
            )
    for name, values in errors.items():
        print(f"{name:9s} rate error median / worst %: {per_cent(values)}")


async def fleet(bench: Bench, quick: bool) -> None:
    """Alone, and beside the same number of clients that train on all cores, as in a run."""
    print("\n20 devices x 10 Mbit/s, 50 ms, one process: error % median/worst, CPU, lateness")
    names = ("raw up", "http down") if quick else tuple(TRANSFERS)
    for name in names:
        print(f"links alone      {name:9s} " + await fleet_of(bench, name))
    async with training(20) as progress:
        for name in names:
            before, begin_s = progress.ended, time.monotonic()
            row = await fleet_of(bench, name)
            per_s = (progress.ended - before) / (time.monotonic() - begin_s)
            print(f"while all train  {name:9s} {row}  ({per_s:.1f} trainings/s)")


async def fleet_of(bench: Bench, name: str, devices: int = 20, mbit_s: float = 10) -> str:
    everyone = [bench.links(mbit_s, 50) for _ in range(devices)]
    count = int(mbit_s * BYTES_PER_MBIT * bench.seconds)
    work = asyncio.gather(*(TRANSFERS[name](bench, links, count) for links in everyone))

    async def transfers() -> list[Arrivals]:
        return await work

    results, cpu = await cpu_share(transfers())
    errors = [a.rate() / (mbit_s * BYTES_PER_MBIT) - 1 for a in results]
    for links in everyone:
        links.close()
    merged = FidelityMeter.merged(links.meter for links in everyone)
    within = rates_off(float(np.median(np.abs(errors))), float(np.abs(errors).max())) <= 1
    verdict = "within" if within else "OUT OF BOUNDS"
    return f"{per_cent(errors)}  {cpu:4.0%}  {lateness(merged.measured())}  {verdict}"


async def delay(bench: Bench, quick: bool) -> None:
    """Added latency: what is beyond the asked delay and beyond the same exchange over a plain
    loopback connection, whose median is shown first."""
    count = 50 if quick else 150
    plain = await asyncio.open_connection("127.0.0.1", bench.stream_port)
    base = np.array(await pings(*plain, count))
    plain[1].close()
    await plain[1].wait_closed()
    shown = " / ".join(f"{p50:.3f}" for p50 in np.median(base, axis=0) * 1e3)
    print(f"\nIdle link, {PING_BYTES} byte messages, up / down / round trip; plain: {shown} ms")
    added = await measure_added_latency(bench.timer)
    print(f"calibration takes off {added.up_s * 1e3:.3f} ms up, {added.down_s * 1e3:.3f} ms down")
    print("added latency in ms, p50/p99")
    grid = (50,) if quick else (5, 50, 200)
    for rtt_ms, calibrated in [(rtt, c) for rtt in grid for c in (False, True)]:
        one = LinkParameters(20 * BYTES_PER_MBIT, rtt_ms / 2000)
        pair = added.taken_off(LinkPair(one, one)) if calibrated else LinkPair(one, one)
        links = DeviceLinks(pair, bench.timer)
        one_way_s = rtt_ms / 2000 + wire_bytes(PING_BYTES) / (20 * BYTES_PER_MBIT)
        asked_s = one_way_s * np.array([1, 1, 2]) + np.median(base, axis=0)
        async with stream(bench, links) as (reader, writer):
            measured = np.array(await pings(reader, writer, count if rtt_ms < 200 else 50))
        links.close()
        p50, p99 = np.percentile((measured - asked_s) * 1e3, [50, 99], axis=0)
        figures = (f"{a:.3f} / {b:.3f}" for a, b in zip(p50, p99, strict=True))
        kind = "calibrated" if calibrated else "as it is"
        print(f"{rtt_ms:4d} ms {kind}  " + "   ".join(figures))


async def pings(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int
) -> list[tuple[float, float, float]]:
    """Seconds up, down and both of each exchange."""
    result = []
    for _ in range(count):
        await asyncio.sleep(0.02)  # as idle before each, whatever the delay
        start_s = time.monotonic()
        writer.write(b"E 0\n".ljust(PING_BYTES))
        there_s = float(await reader.readexactly(PING_BYTES))
        end_s = time.monotonic()
        result.append((there_s - start_s, end_s - there_s, end_s - start_s))
    return result


async def fair(bench: Bench, quick: bool) -> None:
    print("\n20 flows on one link of 100 Mbit/s, 50 ms: Jain's index, error of the sum in %")
    for name in ("raw up", "raw down"):
        links = bench.links(100, 50)
        count = int(100 * BYTES_PER_MBIT * 2 * bench.seconds / 20)
        flows = await asyncio.gather(*(TRANSFERS[name](bench, links, count) for _ in range(20)))
        links.close()
        jain, error = fairness(flows)
        print(f"{name:9s} {jain:.5f}  {error * 100:+.3f} %  {lateness(links.meter.measured())}")


async def shared(bench: Bench, quick: bool) -> None:
    """Twenty devices of 10 to 100 Mbit/s each behind one wire of 100: a household, a cell."""
    print("\n20 devices on a shared wire of 100 Mbit/s: Jain's index, error of the sum in %, core")
    for name in ("raw up", "raw down"):
        meeting: SharedLinks[Parcel] = SharedLinks(bench.timer)
        crossing = Crossing(meeting, (SharedWire(100 * BYTES_PER_MBIT),))
        ones = [LinkParameters(m * BYTES_PER_MBIT, 0.01) for m in (10, 20, 50, 100) * 5]
        both = (crossing, crossing)
        everyone = [DeviceLinks(LinkPair(x, x), bench.timer, None, both) for x in ones]
        count = int(100 * BYTES_PER_MBIT * bench.seconds / 20)
        work = asyncio.gather(*(TRANSFERS[name](bench, links, count) for links in everyone))

        async def transfers(work: Any = work) -> list[Arrivals]:  # noqa: ANN401
            return list(await work)

        flows, cpu = await cpu_share(transfers())
        jain, error = fairness(flows)
        merged = FidelityMeter.merged(links.meter for links in everyone).measured()
        for links in everyone:
            links.close()
        print(f"{name:9s} {jain:.5f}  {error * 100:+.3f} %  {cpu:4.0%}  {lateness(merged)}")


def fairness(flows: Sequence[Arrivals]) -> tuple[float, float]:
    """Jain's index and the error of the sum against 100 Mbit/s, while all of them flow."""
    start_s = max(flow.times_s[0] for flow in flows)
    end_s = min(flow.times_s[-1] for flow in flows)
    got = [flow.until(end_s) - flow.until(start_s) for flow in flows]
    jain = sum(got) ** 2 / (len(got) * sum(g * g for g in got))
    rate = sum(got) * FRAME_BYTES / SEGMENT_BYTES / (end_s - start_s)
    return jain, rate / (100 * BYTES_PER_MBIT) - 1


async def jitter(bench: Bench, quick: bool) -> None:
    """One-way delays of a stream of small messages, a quarter of the correlation time apart,
    against the course asked for. Without jitter first: what the host adds to every message."""
    print("\nJitter of 5 ms around 50 ms, correlated over 100 ms, in ms: mean off, spread")
    host_ms = 0.0
    for name in ("none", *DISTRIBUTIONS):
        wander = None if name == "none" else Jitter(0.005, 0.1, name, (1,))
        got_ms, due_ms = await delays_ms(bench, wander, 100 if quick else 200)
        off_ms = float(got_ms.mean() - due_ms.mean())
        host_ms = off_ms if wander is None else host_ms
        print(
            f"{name:7s} mean {off_ms:+.3f}, {off_ms - host_ms:+.3f} beyond what the host adds; "
            f"spread {got_ms.std():.3f}, of the course {due_ms.std():.3f}"
        )


async def delays_ms(bench: Bench, wander: Jitter | None, count: int) -> tuple[Any, Any]:
    """Of each message, in ms: what it took and what was asked."""
    asked = None if wander is None else wander.course()
    one = LinkParameters(20 * BYTES_PER_MBIT, 0.05, variation=wander)
    begin_s = bench.timer.now()
    links = DeviceLinks(LinkPair(one, one), bench.timer)
    wire_s = wire_bytes(PING_BYTES) / one.bytes_per_s
    async with stream(bench, links) as (reader, writer):
        rows = []
        for _ in range(count):
            await asyncio.sleep(0.025)
            start_s = time.monotonic()
            writer.write(b"E 0\n".ljust(PING_BYTES))
            there_s = float(await reader.readexactly(PING_BYTES))
            extra_s = 0.0 if asked is None else asked.extra_s(start_s + wire_s - begin_s)
            rows.append((there_s - start_s, 0.05 + wire_s + extra_s))
    links.close()
    got_ms, due_ms = np.array(rows).T * 1e3
    return got_ms, due_ms


async def capacity(bench: Bench, quick: bool) -> None:
    """More and more devices of 10 Mbit/s until their rates are out of bounds."""
    print("\nDevices of 10 Mbit/s at once, raw up: error % median/worst, core, lateness ms")
    for devices in (20, 40) if quick else (20, 40, 80, 120, 160):
        print(f"{devices:4d}  " + await fleet_of(bench, "raw up", devices))


BENCHES = {
    "rates": rates,
    "fleet": fleet,
    "delay": delay,
    "fair": fair,
    "shared": shared,
    "jitter": jitter,
    "capacity": capacity,
}


async def measure(options: argparse.Namespace, ports: tuple[int, int]) -> None:
    timer = timer_for(asyncio.get_running_loop())
    bench = Bench(timer, *ports, seconds=1.0 if options.quick else 2.0)
    load = ", ".join(f"{x:.2f}" for x in os.getloadavg())
    print(f"{os.cpu_count()} cores, load {load}; {type(timer).__name__}; {bench.seconds:g} s each")
    for name in options.only or BENCHES:
        before = Cores.now()
        async with pulse() as beating:
            await BENCHES[name](bench, options.quick)
        print(f"{before.since()}, the loop stood still for {beating.longest_s:.2f} s at most")
    timer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under a minute, fewer cells")
    parser.add_argument("--only", action="append", choices=BENCHES, help="only this part")
    options = parser.parse_args()
    mine, theirs = multiprocessing.get_context("spawn").Pipe()
    with processes(serve_forever, 1, theirs):
        asyncio.run(measure(options, mine.recv()))


if __name__ == "__main__":
    main()
