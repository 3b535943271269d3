"""Which traces a member of a fleet plays, from where on and how: the `trace` table of a fleet.

One file serves many members: each takes the file's next device, and starts later by `stagger_s`.
Knows nothing of clocks; who plays it decides when it begins.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from profiles.catalogue import UnknownProfile, list_traces, locate_trace
from profiles.document import Table
from profiles.errors import near
from profiles.trace import (
    MAX_TIME_S,
    DeviceTrace,
    Intervals,
    Opportunities,
    Rate,
    Steps,
    TraceFile,
)
from profiles.trace_reading import read_trace

AT_END = ("loop", "hold", "stop")
PARTS = ("link_up", "link_down", "pace", "available")
"""What may be taken from a file of its own; `file` gives all that it says."""
_SILENT = DeviceTrace("nobody", 1.0)
_KEYS = ("file", *PARTS, "device", "offset_s", "stagger_s", "scale", "at_end", "digest")


@dataclass(frozen=True, slots=True)
class PlayedTrace:
    """What one client's device goes through; None: it is as its profiles say."""

    offset_s: float
    at_end: str
    scale: float
    """What link rates are multiplied by."""
    up: Rate | None = None
    down: Rate | None = None
    up_delay_s: Steps | None = None
    down_delay_s: Steps | None = None
    pace: Steps | None = None
    available: Intervals | None = None

    @property
    def drives_links(self) -> bool:
        parts = (self.up, self.down, self.up_delay_s, self.down_delay_s)
        return any(part is not None for part in parts)


@dataclass(frozen=True, slots=True)
class TraceChoice:
    """The `trace` table of one entry of a fleet's members."""

    table: Mapping[str, object]
    """As it was written, the files' places resolved, with the digest of their contents."""
    files: Mapping[str, TraceFile] = field(repr=False, compare=False)

    def __hash__(self) -> int:
        return hash(tuple(sorted((key, str(value)) for key, value in self.table.items())))

    def of(self, place: int) -> PlayedTrace:
        """For the entry's `place`-th client, from 0."""
        up, down, pace, available = (self._device(part, place) for part in PARTS)
        return PlayedTrace(
            _number(self.table, "offset_s", 0.0) + place * _number(self.table, "stagger_s", 0.0),
            str(self.table.get("at_end", "loop")),
            _number(self.table, "scale", 1.0),
            up.up,
            down.down,
            up.up_delay_s,
            down.down_delay_s,
            pace.pace,
            available.available,
        )

    def _device(self, part: str, place: int) -> DeviceTrace:
        trace = self.files.get(part, self.files.get("file"))
        if trace is None:
            return _SILENT
        wanted = self.table.get("device")
        if wanted is None:
            return trace.devices[place % len(trace.devices)]
        return next(each for each in trace.devices if each.device == wanted)


def _number(table: Mapping[str, object], key: str, otherwise: float) -> float:
    value = table.get(key, otherwise)
    return float(value) if isinstance(value, int | float) else otherwise


def parse_trace_choice(table: Table, folder: Path) -> TraceChoice:
    """Raises ProfileError. Paths are relative to `folder`."""
    table.allow(_KEYS)
    places = {key: _place(table, key, folder) for key in ("file", *PARTS) if key in table.entries}
    if not places:
        raise table.error("", f"must name a trace: {', '.join(('file', *PARTS))}")
    for key, least in (("offset_s", 0.0), ("stagger_s", 0.0), ("scale", 1e-9)):
        _check_number(table, key, least)
    if "at_end" in table.entries and table.entries["at_end"] not in AT_END:
        rule = f"{table.entries['at_end']!r} is not one of {', '.join(AT_END)}"
        raise table.error("at_end", rule)
    read = _Reader()
    files = {key: read(path) for key, path in places.items()}
    shipped = list_traces()
    entries = dict(table.entries) | {
        key: name if name in shipped else str(path.resolve())
        for key, path in places.items()
        if (name := str(table.entries[key]))
    }
    digest = read.digest()
    if table.entries.get("digest", digest) != digest:
        raise table.error("digest", "the traces are no longer those that were recorded")
    choice = TraceChoice(entries | {"digest": digest}, files)
    _check_parts(table, choice)
    return choice


def _place(table: Table, key: str, folder: Path) -> Path:
    try:
        return locate_trace(table.text(key), folder)
    except UnknownProfile as error:
        raise table.error(key, error.rule) from None


def _check_number(table: Table, key: str, least: float) -> None:
    raw = table.entries.get(key, least)
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise table.error(key, "must be a number")
    if not (math.isfinite(raw) and least <= raw <= MAX_TIME_S):
        raise table.error(key, f"must be finite and from {least:g} to {MAX_TIME_S:g}")


class _Reader:
    """Reads each file once, and remembers what was in them."""

    def __init__(self) -> None:
        self._read: dict[Path, TraceFile] = {}

    def __call__(self, path: Path) -> TraceFile:
        if path not in self._read:
            self._read[path] = read_trace(path)
        return self._read[path]

    def digest(self) -> str:
        contents = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in self._read)
        return hashlib.sha256("".join(contents).encode()).hexdigest()


_SAYS: Mapping[str, Callable[[DeviceTrace], object]] = {
    "link_up": lambda device: device.up,
    "link_down": lambda device: device.down,
    "pace": lambda device: device.pace,
    "available": lambda device: device.available,
}


def _check_parts(table: Table, choice: TraceChoice) -> None:
    """That what is asked for is there, and can be played."""
    wanted = choice.table.get("device")
    for key, trace in choice.files.items():
        names = [device.device for device in trace.devices]
        if wanted is not None and wanted not in names:
            rule = f"{table.entries[key]} has no device {wanted!r}; {near(str(wanted), names)}"
            raise table.error("device", rule)
        for device in trace.devices:
            if key in _SAYS and _SAYS[key](device) is None:
                rule = f"{table.entries[key]} does not say it of device {device.device!r}"
                raise table.error(key, rule)
            _check_rates(table, key, device)


def _check_rates(table: Table, key: str, device: DeviceTrace) -> None:
    for rate in (device.up, device.down):
        if rate is not None and not rate.total() > 0:
            raise table.error(key, f"device {device.device!r} carries nothing at all")
        if isinstance(rate, Opportunities) and table.entries.get("at_end") == "hold":
            raise table.error("at_end", "opportunities have no last value to hold: loop or stop")
    if device.pace is not None and not any(device.pace.values):
        raise table.error(key, f"device {device.device!r} never computes")
