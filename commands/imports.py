"""`profiles import`: other people's trace files into straggler traces."""

import argparse
from dataclasses import fields
from pathlib import Path

from commands.errors import BadInput
from profiles.formats import FORMATS, import_trace
from profiles.formats.options import Direction, ImportOptions
from profiles.trace import DeviceTrace, Opportunities, TraceFile
from profiles.trace_writing import write_trace

_FORMATS = "formats:\n" + "\n".join(f"  {n:<20}{f.describe}" for n, f in FORMATS.items())
_OPTIONS = {"training_factor", "reference_ms", "step_s", "duration_s"}
"""Numbers above zero."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _FORMATS
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--format", required=True, metavar="F", help="see below")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE")
    parser.add_argument("--device", metavar="ID", help="of a file of many: this one only")
    parser.add_argument(
        "--direction", choices=list(Direction), help="which way a file's one rate goes (down)"
    )
    parser.add_argument(
        "--training-factor", type=float, metavar="X", help="training over inference (3)"
    )
    parser.add_argument(
        "--reference-ms", type=float, metavar="MS", help="training of a sample that is pace 1"
    )
    parser.add_argument(
        "--speed-unit", choices=["kbit/s", "kB/s"], help="of FLASH's speeds (kbit/s, assumed)"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="of rates that are drawn (0)")
    parser.add_argument("--step-s", type=float, metavar="S", help="how long one lasts (10)")
    parser.add_argument("--duration-s", type=float, metavar="S", help="of a trace (600)")


def run(arguments: argparse.Namespace) -> None:
    options = read_options(arguments)
    trace = import_trace(arguments.file, arguments.format, options)
    write_trace(arguments.out, trace)
    print(f"{arguments.out}: written ({described(trace)})")


def read_options(arguments: argparse.Namespace) -> ImportOptions:
    given = {
        field.name: value
        for field in fields(ImportOptions)
        if (value := getattr(arguments, field.name)) is not None
    }
    heeded = FORMATS[arguments.format].heeds if arguments.format in FORMATS else ()
    for name, value in given.items():
        option = f"--{name.replace('_', '-')}"
        if arguments.format in FORMATS and name not in heeded:
            raise BadInput(f"{option}: means nothing to the format {arguments.format}")
        if name in _OPTIONS and not 0 < value <= 1e9:
            raise BadInput(f"{option}: must be above 0 and at most 1e9, got {value:g}")
    options = ImportOptions(**given)
    if options.duration_s / options.step_s > 1e6:
        raise BadInput("--step-s: more than a million steps")
    return options


def described(trace: TraceFile) -> str:
    """One line: how many devices, how long, what of them."""
    first = trace.devices[0]
    longest_s = max(device.end_s for device in trace.devices)
    count = len(trace.devices)
    who = f"device {first.device}" if count == 1 else f"{count} devices"
    return f"straggler trace of {who}, {longest_s:.6g} s: {', '.join(_parts(first)) or 'nothing'}"


def _parts(device: DeviceTrace) -> list[str]:
    parts = []
    for way, rate in (("up", device.up), ("down", device.down)):
        if rate is not None:
            wire = "opportunities of 1500 B" if isinstance(rate, Opportunities) else "a rate"
            parts.append(
                f"{way} {wire} of {rate.total() * 8e-6 / rate.end_s:.4g} Mbit/s on average"
            )
    named = (
        ("delay up", device.up_delay_s),
        ("delay down", device.down_delay_s),
        ("pace", device.pace),
        ("availability", device.available),
        ("rounds", device.rounds),
        ("drop-outs", device.dropouts),
    )
    return parts + [name for name, part in named if part]
