"""Other people's trace formats, one file each, in one table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from profiles.errors import ProfileError, near
from profiles.formats import (
    fedscale_behaviour,
    fedscale_capacity,
    flash_speeds,
    flash_states,
    gnettrack,
    mahimahi,
    rate_csv,
    sabre,
    time_rate,
    toggles,
)
from profiles.formats.options import ImportOptions
from profiles.formats.source import Source, read_source
from profiles.trace import DeviceTrace, TraceError, TraceFile

Reader = Callable[[Source, ImportOptions], tuple[DeviceTrace, ...]]


@dataclass(frozen=True, slots=True)
class TraceFormat:
    """`heeds`: which options mean something to it; they are noted in what it makes."""

    describe: str
    read: Reader
    heeds: tuple[str, ...]


_CAPACITY = ("device", "training_factor", "reference_ms", "duration_s")
_SPEEDS = ("device", "speed_unit", "seed", "step_s", "duration_s")

FORMATS: Mapping[str, TraceFormat] = MappingProxyType(
    {
        "mahimahi": TraceFormat(
            "a millisecond a line, 1500 bytes each", mahimahi.read, ("direction",)
        ),
        "time-rate": TraceFormat(
            "seconds and Mbit/s (Pensieve, Lumos5G)", time_rate.read, ("direction",)
        ),
        "sabre": TraceFormat("JSON of durations, rates, latencies", sabre.read, ("direction",)),
        "gnettrack": TraceFormat("G-NetTrack CSV (Irish 5G)", gnettrack.read, ()),
        "rate-csv": TraceFormat(
            "a rate and its unit each second (NYU-METS)", rate_csv.read, ("direction",)
        ),
        "fedscale-capacity": TraceFormat(
            "pickle of speeds of clients", fedscale_capacity.read, _CAPACITY
        ),
        "fedscale-behaviour": TraceFormat(
            "pickle of when clients are active", fedscale_behaviour.read, ("device",)
        ),
        "flash-states": TraceFormat("JSON of events of phones", flash_states.read, ("device",)),
        "flash-speeds": TraceFormat(
            "JSON of distributions of link speeds", flash_speeds.read, _SPEEDS
        ),
        "toggles": TraceFormat("times at which devices go and come", toggles.read, ("device",)),
    }
)


def import_trace(path: Path, format_: str, options: ImportOptions) -> TraceFile:
    """Read a file of one of these formats. Raises ProfileError naming file, place and rule."""
    if format_ not in FORMATS:
        raise ProfileError("--format", format_, f"unknown format; {near(format_, FORMATS)}")
    chosen = FORMATS[format_]
    source = read_source(path)
    notes = [f"imported from {path.name}, format {format_}"]
    for name in chosen.heeds:
        if (value := getattr(options, name)) is not None:
            notes.append(f"{name} = {value}")
    try:
        return TraceFile(path.name, tuple(notes), chosen.read(source, options))
    except TraceError as error:
        raise source.error("", str(error)) from None
