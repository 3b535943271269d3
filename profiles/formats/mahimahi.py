"""Mahimahi packet-delivery traces: a millisecond a line, one 1500-byte opportunity each.

The last one's time is the period (mahimahi, src/frontend/link_queue.cc).
"""

from profiles.formats.options import ImportOptions, one_way
from profiles.formats.source import MAX_DIGITS, Source
from profiles.trace import DeviceTrace, Opportunities


def read(source: Source, options: ImportOptions) -> tuple[DeviceTrace, ...]:
    times: list[int] = []
    for line, text in source.lines():
        place = f"line {line}"
        if not (text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS):
            raise source.error(place, f"{text[:MAX_DIGITS]!r} is not a whole number of ms")
        at_ms = int(text)
        source.time(place, at_ms / 1000)
        if times and at_ms < times[-1]:
            raise source.error(place, f"times must not decrease: {at_ms} after {times[-1]}")
        times.append(at_ms)
    if not times[-1]:
        raise source.error("", "lasts for no time: its last opportunity is at 0 ms")
    rate = Opportunities(tuple(times), times[-1] / 1000)
    return (one_way("0", rate, options),)
