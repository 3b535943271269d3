"""The TCP model of stream links beside the kernel's TCP.

    python -m benchmarks.tcp                recorded kernel times (benchmarks/kernel_tcp.json)
    python -m benchmarks.tcp --measure      the kernel's own TCP over packet links, here and now
    python -m benchmarks.tcp --cpu          what a Gbit costs: with the model, and paced plainly

The model runs by a clock moved by hand, so that nothing of it depends on the machine. Measuring
needs network namespaces and TUN devices (as root, or where user namespaces are allowed) and takes
some minutes; another load on the machine adds to the kernel's times.
"""

import argparse
import json
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks import packet_rig
from netem.link import LinkParameters
from tests.netem.tcp_rig import Cell, RecordedLoss, Rig, delivered, transfer_s

RECORD = Path(__file__).with_name("kernel_tcp.json")
_LINKS = (
    *((20, 50), (20, 200), (100, 20), (100, 100)),
    *((5, 30), (10, 100), (50, 50), (200, 20), (30, 80)),
)
_SIZES = (100_000, 1_000_000, 10_000_000)
_LONGEST_S = 10.0
_QUEUE_S = 0.2
_REPEATS = 3


def cell_of(row: dict[str, Any]) -> Cell:
    return Cell(row["mbit_s"], row["rtt_ms"], row["queue_bytes"], row["congestion_control"])


def shown(cell: Cell, what: str, kernel: str, model: float, error: float) -> None:
    queue_ms = cell.queue_bytes / (cell.mbit_s * 125)
    print(
        f"{cell.congestion_control:6s}{cell.mbit_s:5g} Mbit/s {cell.rtt_ms:4g} ms  queue "
        f"{queue_ms:5.0f} ms  {what:>10s}  kernel {kernel:>9s}  model {model:9.4f}  {error:+7.2%}"
    )


def summary(name: str, errors: Iterable[float]) -> None:
    sizes = [abs(error) for error in errors]
    print(
        f"-- {name}: {len(sizes)} cells, error mean {mean(sizes):.2%}, median "
        f"{median(sizes):.2%}, worst {max(sizes):.2%}\n"
    )


def recorded() -> None:
    record = json.loads(RECORD.read_text())
    print(f"kernel: {record['measured']['host']}\n")
    for group in ("seen", "unseen", "shallow"):
        rows = [row for row in record["transfers"] if row["group"] == group]
        summary(f"transfers, {group}", [_transfer(row) for row in rows])
    summary("second transfer after a pause", [_transfer(row) for row in record["pauses"]])
    summary("goodput with losses, Mbit/s", [_lossy(row) for row in record["losses"]])


def _transfer(row: dict[str, Any]) -> float:
    cell = cell_of(row)
    model = transfer_s(cell, row["bytes"], row.get("pause_s"))
    error = float(model / row["seconds"] - 1)
    shown(cell, f"{row['bytes'] / 1e6:g} MB", f"{row['seconds']:.4f}", model, error)
    return error


def _lossy(row: dict[str, Any]) -> float:
    cell, seconds = cell_of(row), row["seconds"]
    got = delivered(cell, seconds, RecordedLoss(row["loss"], row["seed"]))
    kernel, model = (count * 8e-6 / seconds for count in (row["bytes"], got))
    shown(cell, f"{row['loss']:.2%}", f"{kernel:.4f}", model, model / kernel - 1)
    return float(model / kernel - 1)


def measured() -> None:
    errors = []
    for mbit_s, rtt_ms in _LINKS:
        cell = Cell(mbit_s, rtt_ms, int(mbit_s * 125e3 * _QUEUE_S))
        for count in _SIZES:
            if count * 8e-6 / mbit_s > _LONGEST_S:
                continue
            kernel = median(_over_packets(cell, count))
            model = transfer_s(cell, count)
            errors.append(model / kernel - 1)
            shown(cell, f"{count / 1e6:g} MB", f"{kernel:.4f}", model, errors[-1])
    summary("transfers, measured now", errors)


def _over_packets(cell: Cell, count: int) -> list[float]:
    """Seconds over the packet link, a fresh connection each."""
    queue_bytes, rtt_s = int(cell.queue_bytes), cell.rtt_ms / 1e3
    link = packet_rig.Cell(cell.mbit_s, rtt_s, 0.0, queue_bytes, cell.congestion_control)
    seconds = []
    with link.net() as net:
        for _ in range(_REPEATS):
            connection = packet_rig.connect(net)
            seconds.append(connection.send(count, up=True).seconds)
            connection.close()
    return seconds


def cpu() -> None:
    """Processor seconds for a Gbit of payload, without sockets or applications."""
    for mbit_s, rtt_ms in ((20, 50), (20, 200), (100, 20)):
        modelled = Cell(mbit_s, rtt_ms, mbit_s * 125e3 * _QUEUE_S).link()
        model, plain = _cost(modelled), _cost(replace(modelled, tcp=None))
        print(f"{mbit_s} Mbit/s {rtt_ms} ms: model {model:.2f} s, plain {plain:.2f} s a Gbit")


def _cost(link: LinkParameters, count: int = 40_000_000) -> float:
    rig = Rig(link)
    application = rig.application()
    application.write(count)
    begin_s = time.process_time()
    rig.run_until(lambda: application.count == count)
    return (time.process_time() - begin_s) / (count * 8e-9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--measure", action="store_true", help="the kernel's TCP here and now")
    kinds.add_argument("--cpu", action="store_true", help="processor time for a Gbit")
    options = parser.parse_args()
    (measured if options.measure else cpu if options.cpu else recorded)()


if __name__ == "__main__":
    main()
