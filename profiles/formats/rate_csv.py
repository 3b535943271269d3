"""A rate and its unit a line, one line a second (NYU-METS: `3.97,Mbits/sec`)."""

from profiles.formats.options import ImportOptions, merged, one_way
from profiles.formats.source import Source
from profiles.trace import DeviceTrace

_BYTES = {"bits/sec": 1 / 8, "Kbits/sec": 1e3 / 8, "Mbits/sec": 1e6 / 8, "Gbits/sec": 1e9 / 8}


def read(source: Source, options: ImportOptions) -> tuple[DeviceTrace, ...]:
    rates: list[float] = []
    first = ""
    for line, text in source.lines():
        place = f"line {line}"
        number, comma, unit = (part.strip() for part in text.partition(","))
        if not comma or unit not in _BYTES:
            raise source.error(place, f"must be a number, a comma and one of {', '.join(_BYTES)}")
        first = first or unit
        if unit != first:
            raise source.error(place, f"units are mixed: {unit} after {first}")
        rates.append(source.rate(place, source.decimal(place, number) * _BYTES[unit]))
    times = [float(second) for second in range(len(rates))]
    return (one_way("0", merged(times, rates, float(len(rates))), options),)
