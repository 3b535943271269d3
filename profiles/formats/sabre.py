"""sabre's JSON network logs: durations with a rate and the latency of a request (Norway 3G, Ghent
4G), which is taken as a round trip: half of it each way."""

from profiles.formats.options import ImportOptions, merged, one_way
from profiles.formats.source import Source
from profiles.trace import DeviceTrace


def read(source: Source, options: ImportOptions) -> tuple[DeviceTrace, ...]:
    periods = source.json()
    if not isinstance(periods, list) or not periods:
        raise source.error("", "must be a list of periods, at least one")
    times, rates, delays, at_ms = [0.0], list[float](), list[float](), 0.0
    for index, raw in enumerate(periods):
        period, place = source.table(f"[{index}]", raw), f"[{index}]"
        rate, latency_ms, duration_ms = (
            source.number(f"{place}.{key}", source.entry(place, period, key))
            for key in ("bandwidth_kbps", "latency_ms", "duration_ms")
        )
        if not duration_ms:
            raise source.error(f"{place}.duration_ms", "must be above 0")
        rates.append(source.rate(f"{place}.bandwidth_kbps", rate * 1e3 / 8))
        delays.append(source.time(f"{place}.latency_ms", latency_ms / 1000) / 2)
        at_ms += duration_ms
        times.append(source.time(f"{place}.duration_ms", at_ms / 1000))
    end_s = times.pop()
    link = one_way("0", merged(times, rates, end_s), options)
    delay = merged(times, delays, end_s)
    return (DeviceTrace("0", end_s, link.up, link.down, delay, delay),)
