"""Pairs of seconds and Mbit/s, a pair a line, each rate from its time on (Pensieve's "cooked"
traces, Lumos5G).

The file does not say how long its last rate holds: as long as the one before, here.
"""

from profiles.formats.options import ImportOptions, merged, one_way
from profiles.formats.source import Source
from profiles.trace import DeviceTrace


def read(source: Source, options: ImportOptions) -> tuple[DeviceTrace, ...]:
    times: list[float] = []
    rates: list[float] = []
    for line, text in source.lines():
        place, parts = f"line {line}", text.split()
        if len(parts) != 2:
            raise source.error(place, "must be two numbers: seconds and Mbit/s")
        at_s = source.time(place, source.decimal(place, parts[0]))
        if times and at_s <= times[-1]:
            raise source.error(place, f"times must increase: {at_s:g} after {times[-1]:g}")
        times.append(at_s)
        rates.append(source.rate(place, source.decimal(place, parts[1]) * 1e6 / 8))
    last_s = times[-1] - times[-2] if len(times) > 1 else 1.0
    starts = [at_s - times[0] for at_s in times]
    return (one_way("0", merged(starts, rates, starts[-1] + last_s), options),)
