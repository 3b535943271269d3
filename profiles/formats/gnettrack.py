"""G-NetTrack's CSV logs (Irish 5G): both rates in kbit/s and, where there is one, the round trip of
a ping in ms.

Times have whole seconds: several rows of one second are one step of their mean. `-` is a value
that was not measured: the last one holds; rows before the first complete one are left out.
"""

from datetime import datetime
from statistics import fmean

from profiles.formats.options import ImportOptions, merged
from profiles.formats.source import Source
from profiles.trace import DeviceTrace

_TIME = "%Y.%m.%d_%H.%M.%S"
_FIGURES = ("DL_bitrate", "UL_bitrate", "PINGAVG")
_KBIT = 1e3 / 8
Figures = dict[str, float]


def read(source: Source, options: ImportOptions) -> tuple[DeviceTrace, ...]:
    seconds = _seconds(source)
    last: Figures = {}
    times: list[float] = []
    columns: dict[str, list[float]] = {name: [] for name in _FIGURES}
    pinged = any("PINGAVG" in row for rows in seconds.values() for row in rows)
    wanted = _FIGURES if pinged else _FIGURES[:2]
    for at_s, rows in seconds.items():
        for name in wanted:
            measured = [row[name] for row in rows if name in row]
            if measured:
                last[name] = fmean(measured)
        if len(last) == len(wanted):
            times.append(at_s)
            for name in wanted:
                columns[name].append(last[name])
    if not times:
        raise source.error("", f"has no row by which {', '.join(wanted)} are all known")
    starts = [at_s - times[0] for at_s in times]
    end_s = starts[-1] + 1.0
    up, down = (merged(starts, columns[n], end_s) for n in ("UL_bitrate", "DL_bitrate"))
    delay = merged(starts, columns["PINGAVG"], end_s) if pinged else None
    return (DeviceTrace("0", end_s, up, down, delay, delay),)


def _seconds(source: Source) -> dict[float, list[Figures]]:
    """The rows of each second, in order; rates in bytes/s, half the ping in seconds."""
    (_, head), *rows = source.lines()
    header = [cell.strip() for cell in head.split(",")]
    for name in ("Timestamp", "DL_bitrate", "UL_bitrate"):
        if name not in header:
            raise source.error("line 1", f"has no column {name}")
    found: dict[float, list[Figures]] = {}
    first: datetime | None = None
    at_s = 0.0
    for line, text in rows:
        place, cells = f"line {line}", [cell.strip() for cell in text.split(",")]
        if len(cells) != len(header):
            raise source.error(place, f"has {len(cells)} cells, not {len(header)}")
        row = dict(zip(header, cells, strict=True))
        moment = _moment(source, place, row["Timestamp"])
        first = first or moment
        before_s, at_s = at_s, (moment - first).total_seconds()
        if at_s < before_s:
            raise source.error(place, f"times must not decrease: {row['Timestamp']}")
        found.setdefault(source.time(place, at_s), []).append(_figures(source, place, row))
    return found


def _moment(source: Source, place: str, text: str) -> datetime:
    try:
        return datetime.strptime(text, _TIME)
    except ValueError:
        rule = f"Timestamp {text[:40]!r} is not like 2019.12.16_13.40.04"
        raise source.error(place, rule) from None


def _figures(source: Source, place: str, row: dict[str, str]) -> Figures:
    figures: Figures = {}
    for name in _FIGURES:
        if (text := row.get(name, "-")) not in ("-", ""):
            value = source.decimal(place, text)
            if name == "PINGAVG":
                figures[name] = source.time(place, value / 1000) / 2
            else:
                figures[name] = source.rate(place, value * _KBIT)
    return figures
