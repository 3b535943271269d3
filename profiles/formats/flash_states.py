"""FLASH's state_traces.json: the events of phones. A phone is ready, and so available, while it is
locked, on Wi-Fi and charging; before its first event it is none of these."""

from datetime import datetime

from profiles.formats.options import ImportOptions
from profiles.formats.source import Source
from profiles.trace import DeviceTrace, Intervals

_SETS: dict[str, tuple[str, bool]] = {
    "screen_lock": ("locked", True),
    "screen_unlock": ("locked", False),
    "battery_charged_on": ("charging", True),
    "battery_charged_off": ("charging", False),
    "wifi": ("wifi", True),
    **dict.fromkeys(("2g", "3g", "4g", "5g", "unknown"), ("wifi", False)),
}
_SAYS_NOTHING = {"screen_on", "screen_off"}
_TIME = "%Y-%m-%d %H:%M:%S"


def read(source: Source, options: ImportOptions) -> tuple[DeviceTrace, ...]:
    users = source.chosen(source.table("", source.json()), options.device)
    return tuple(_user(source, name, raw) for name, raw in users.items())


def _user(source: Source, name: str, raw: object) -> DeviceTrace:
    place = f"user {name}"
    messages = source.entry(place, source.table(place, raw), "messages")
    if not isinstance(messages, str) or not messages.strip():
        raise source.error(place, "messages must be text, and not empty")
    state = {"locked": False, "wifi": False, "charging": False}
    first: datetime | None = None
    at_s, since_s = 0.0, -1.0
    spans: list[tuple[float, float]] = []
    for number, line in enumerate(messages.strip().split("\n"), 1):
        where = f"{place}, message {number}"
        moment, word = _message(source, where, line)
        first = first or moment
        before_s, at_s = at_s, (moment - first).total_seconds()
        if at_s < before_s:
            raise source.error(where, f"times must not decrease: {line[:19]}")
        if word in _SETS:
            state[_SETS[word][0]] = _SETS[word][1]
        ready = all(state.values())
        if ready and since_s < 0:
            since_s = at_s
            if spans and spans[-1][1] == at_s:  # it was away for no time
                since_s = spans.pop()[0]
        elif not ready and since_s >= 0:
            spans += [(since_s, at_s)] if at_s > since_s else []
            since_s = -1.0
    if not source.time(place, at_s):
        raise source.error(place, "its messages last for no time")
    spans += [(since_s, at_s)] if 0 <= since_s < at_s else []
    return DeviceTrace(name, at_s, available=Intervals(tuple(spans), at_s))


def _message(source: Source, where: str, line: str) -> tuple[datetime, str]:
    time, tab, word = line.strip().partition("\t")
    word = word.strip().lower()
    known = word in _SETS or word in _SAYS_NOTHING or word.rstrip("%").isdecimal()
    if not tab or not known:
        raise source.error(where, f"{line[:60]!r} is not a time, a tab and a known state")
    try:
        return datetime.strptime(time, _TIME), word
    except ValueError:
        raise source.error(where, f"{time[:40]!r} is not like 2020-01-31 13:40:04") from None
