"""FedScale's client_behave_trace: when clients are there. Active while
active[i] <= t % finish_time <= inactive[i]."""

from profiles.formats.options import ImportOptions
from profiles.formats.pickled import plain_values
from profiles.formats.source import Source
from profiles.trace import DeviceTrace, Intervals


def read(source: Source, options: ImportOptions) -> tuple[DeviceTrace, ...]:
    clients = source.chosen(source.table("", plain_values(source)), options.device)
    return tuple(_client(source, name, raw) for name, raw in clients.items())


def _client(source: Source, name: str, raw: object) -> DeviceTrace:
    place = f"client {name}"
    table = source.table(place, raw)
    end_s = source.number(f"{place}: finish_time", source.entry(place, table, "finish_time"))
    if not source.time(place, end_s):
        raise source.error(f"{place}: finish_time", "must be above 0")
    active, inactive = (_times(source, place, table, key) for key in ("active", "inactive"))
    if len(active) != len(inactive):
        rule = f"{len(active)} times in active, {len(inactive)} in inactive"
        raise source.error(place, rule)
    spans: list[tuple[float, float]] = []
    for start_s, stop_s in zip(active, inactive, strict=True):
        if stop_s < start_s or (spans and start_s < spans[-1][1]):
            rule = f"times must not decrease: {start_s:g} to {stop_s:g} s"
            raise source.error(place, rule)
        stop_s = min(stop_s, end_s)
        if start_s >= stop_s:
            continue  # of no length, or beyond what t % finish_time reaches
        if spans and start_s == spans[-1][1]:
            start_s = spans.pop()[0]
        spans.append((start_s, stop_s))
    return DeviceTrace(name, end_s, available=Intervals(tuple(spans), end_s))


def _times(source: Source, place: str, table: object, key: str) -> list[float]:
    raw = source.entry(place, source.table(place, table), key)
    if not isinstance(raw, list | tuple):
        raise source.error(f"{place}: {key}", "must be a list of seconds")
    return [source.number(f"{place}: {key}[{i}]", item) for i, item in enumerate(raw)]
