"""The kernel's own TCP over emulated packet links.

    python -m benchmarks.packet transfer --mbit 20 --rtt-ms 50 --bytes 1000000 [--loss 0.01]
        [--queue-bytes N] [--congestion cubic|reno|bbr] [--up] [--idle-s S] [--repeat N] [--curve]

prints a line of JSON for each transfer: seconds from the sender's first call to the receiver's
last byte, over a fresh connection each, or (with --idle-s) again over the same one after so long
a pause.

    python -m benchmarks.packet table [--seconds S]

prints goodput, round trip error and processor time from 1 to 300 Mbit/s, with the kernel's tbf
and the stream link beside.

    python -m benchmarks.packet cells [--repeat N]

prints what 0.1, 1 and 10 MB take over a fresh connection on four links: over packet links, kernel
links, stream links and by arithmetic; `all` prints both tables. Works as root,
and without where user namespaces are allowed.
"""

import argparse
import json
import sys
import time

from benchmarks.packet_cells import cells
from benchmarks.packet_rig import Cell, as_line, connect
from benchmarks.packet_table import table
from netem.packet.errors import LinksUnavailable


def transfers(options: argparse.Namespace) -> None:
    cell = Cell(
        options.mbit,
        options.rtt_ms / 1000,
        options.loss,
        options.queue_bytes,
        options.congestion,
        options.seed,
    )
    with cell.net(options.user_namespace) as net:
        connection = connect(net)
        for number in range(options.repeat):
            if number and options.idle_s is not None:
                time.sleep(options.idle_s)
            elif number:
                connection.close()
                connection = connect(net)
            one = connection.send(options.bytes, options.up)
            print(as_line(cell, options.bytes, options.up, one, net.gauges.passed(0)), flush=True)
            if options.curve:
                print(json.dumps([(round(at_s, 6), got) for at_s, got in one.curve]), flush=True)
        connection.close()


def everything() -> None:
    table(4.0)
    cells(3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("transfer", help="bytes over a fresh connection")
    one.set_defaults(run=transfers)
    one.add_argument("--mbit", type=float, required=True, help="of the wire, framing counted")
    one.add_argument("--rtt-ms", type=float, required=True)
    one.add_argument("--bytes", type=int, required=True)
    one.add_argument("--loss", type=float, default=0.0, help="probability, each way")
    one.add_argument("--queue-bytes", type=int, help="what waits for the wire at most")
    one.add_argument("--congestion", default="cubic")
    one.add_argument("--seed", type=int, default=0, help="of losses")
    one.add_argument("--up", action="store_true", help="from the device (default: to it)")
    one.add_argument("--repeat", type=int, default=1)
    one.add_argument("--idle-s", type=float, help="repeat on the same connection after a pause")
    one.add_argument("--curve", action="store_true", help="also (seconds, bytes) at the receiver")
    one.add_argument("--user-namespace", action="store_true", help="even as root")
    all_rates = commands.add_parser("table", help="goodput, round trip and cost by rate")
    all_rates.add_argument("--seconds", type=float, default=4.0, help="of each transfer (4)")
    all_rates.set_defaults(run=lambda options: table(options.seconds))
    fresh = commands.add_parser("cells", help="single transfers over every kind of link")
    fresh.add_argument("--repeat", type=int, default=3, help="the median of so many (3)")
    fresh.set_defaults(run=lambda options: cells(options.repeat))
    both = commands.add_parser("all", help="both tables")
    both.set_defaults(run=lambda options: everything())
    options = parser.parse_args()
    try:
        options.run(options)
    except LinksUnavailable as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
