"""Files of link traces, and how far what was delivered is from their integral, window by window."""

from pathlib import Path

from netem.capacity import Capacity
from profiles.formats import import_trace
from profiles.formats.options import ImportOptions
from profiles.trace import Rate
from profiles.trace_reading import read_trace

WINDOW_S = 10.0
FORMATS = {"cooked": "time-rate", "mahimahi": "mahimahi", "sabre": "sabre"}
"""By the folder in which such files lie."""
OURS = "straggler trace"


def link_files(folder: Path) -> list[tuple[Path, str]]:
    """The link traces of a folder of folders, with their formats."""
    found = ((path, f) for name, f in FORMATS.items() for path in sorted(folder.glob(f"{name}/*")))
    return list(found)


def read_link(path: Path, format_: str) -> Rate:
    if format_ == OURS:
        device = read_trace(path).devices[0]
    else:
        device = import_trace(path, format_, ImportOptions()).devices[0]
    rate = device.down or device.up
    if rate is None:
        raise ValueError(f"{path}: says nothing of a link")
    return rate


def worst_window(capacity: Capacity, delivered: list[float]) -> float:
    """The largest error of a window of `WINDOW_S`, windows from 0 on; of one in which the trace
    carries nothing, against one in which it carries its mean."""
    errors = []
    for index, wire_bytes in enumerate(delivered):
        asked = capacity.carried_bytes(index * WINDOW_S, (index + 1) * WINDOW_S)
        whole = asked or capacity.bytes_per_s * WINDOW_S / 1000
        errors.append(abs(wire_bytes - asked) / whole)
    return max(errors)
