"""Toggle times: `1: on, [54, 890, 2042]`, a device a line: the seconds at which it goes and comes,
after what it is at first. A device's trace ends with its last time."""

import re

from profiles.formats.options import ImportOptions
from profiles.formats.source import Source
from profiles.trace import DeviceTrace, Intervals

_LINE = re.compile(r"([^:,\[\]]+):\s*(on|off)\s*,\s*\[([^\[\]]*)\]")


def read(source: Source, options: ImportOptions) -> tuple[DeviceTrace, ...]:
    found: dict[str, object] = {}
    for line, text in source.lines():
        place, match = f"line {line}", _LINE.fullmatch(text)
        if match is None:
            raise source.error(place, "must be like '1: on, [54, 890, 2042]'")
        name = match[1].strip()
        if name in found:
            raise source.error(place, f"device {name!r} comes twice")
        found[name] = _device(source, place, name, (match[2] == "on", match[3]))
    chosen = source.chosen(found, options.device)
    return tuple(trace for trace in chosen.values() if isinstance(trace, DeviceTrace))


def _device(source: Source, place: str, name: str, said: tuple[bool, str]) -> DeviceTrace:
    on, listed = said
    edges = [0.0]
    for text in listed.split(","):
        at_s = source.time(place, source.decimal(place, text.strip()))
        if at_s < edges[-1] or (at_s == edges[-1] and len(edges) > 1):
            raise source.error(place, f"times must increase: {at_s:g} after {edges[-1]:g}")
        edges.append(at_s)
    if not edges[-1]:
        raise source.error(place, "lasts for no time")
    starts = edges[0 if on else 1 :: 2]
    stops = edges[1 if on else 2 :: 2]
    spans = tuple((a, b) for a, b in zip(starts, stops, strict=False) if b > a)
    return DeviceTrace(name, edges[-1], available=Intervals(spans, edges[-1]))
