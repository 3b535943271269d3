"""The straggler trace: our own file of what devices go through over time (docs/traces.md); its
words, and its writer.

JSON Lines. The first line is a header; each other is `[device, at_s, what, value]`. Lines of one
device and kind are in order of time, all else is free, so that a run can write as it goes along.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Protocol

from profiles.errors import WHOLE_FILE, ProfileError, near
from profiles.trace import DeviceTrace, Intervals, Opportunities, Steps, TraceError, TraceFile

FORMAT, SCHEMA = "straggler-trace", 1
PHASES = (
    *("plan", "keys", "shares", "collect", "consistency", "unmask"),  # as the coordinator sees it
    *("download", "fit", "mask", "upload"),  # and within collect, as the device does
)
"""Of a round, in which a device may be lost to it."""
STEPPED = ("up_bytes_per_s", "down_bytes_per_s", "up_delay_s", "down_delay_s", "pace")
OPPORTUNITIES = ("up_opportunities_ms", "down_opportunities_ms")
KINDS = (*STEPPED, *OPPORTUNITIES, "available", "round", "dropped", "end")
_CHUNK = 512
"""Opportunities in one line."""


class Sink(Protocol):
    """What takes text: an open file, a buffer."""

    def write(self, text: str, /) -> int: ...


class TraceWriter:
    """Writes line by line to a stream, in whatever order things happen."""

    def __init__(self, stream: Sink, title: str, notes: Iterable[str] = ()) -> None:
        self._stream = stream
        head = {"format": FORMAT, "schema": SCHEMA, "title": title, "notes": list(notes)}
        self._line(head)

    def event(self, device: str, at_s: float, what: str, value: object = None) -> None:
        """`what` is one of `KINDS`; the value as in docs/traces.md."""
        if what not in KINDS:
            raise TraceError(f"unknown kind {what!r}; {near(what, KINDS)}")
        line = [device, _short(at_s), what, _short(value)]
        self._line(line if value is not None else line[:3])

    def _line(self, content: object) -> None:
        text = json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        self._stream.write(text + "\n")


def _short(value: object) -> object:
    """Whole numbers without a point: the same value, two bytes less."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def events_of(trace: DeviceTrace) -> Iterator[tuple[float, str, object]]:
    """What the writer is told of one device, kind by kind."""
    for way, rate in (("up", trace.up), ("down", trace.down)):
        if isinstance(rate, Opportunities):
            for start in range(0, len(rate.at_ms), _CHUNK):
                chunk = rate.at_ms[start : start + _CHUNK]
                yield chunk[0] / 1000, f"{way}_opportunities_ms", list(chunk)
    rates = [rate if isinstance(rate, Steps) else None for rate in (trace.up, trace.down)]
    stepped = (*rates, trace.up_delay_s, trace.down_delay_s, trace.pace)
    for what, steps in zip(STEPPED, stepped, strict=True):
        if steps is not None:
            yield from ((at, what, v) for at, v in zip(steps.at_s, steps.values, strict=True))
    if trace.available is not None:
        yield from _toggles(trace.available)
    yield from ((mark.at_s, "round", mark.round) for mark in trace.rounds)
    for lost in trace.dropouts:
        yield lost.at_s, "dropped", {"round": lost.round, "phase": lost.phase}
    yield trace.end_s, "end", None


def _toggles(available: Intervals) -> Iterator[tuple[float, str, object]]:
    if not available.spans_s or available.spans_s[0][0] > 0:
        yield 0.0, "available", False
    for start_s, stop_s in available.spans_s:
        yield start_s, "available", True
        if stop_s < available.end_s:
            yield stop_s, "available", False


def write_trace(path: Path, trace: TraceFile) -> None:
    """The whole file or nothing; never over another. Raises ProfileError."""
    if path.exists():
        raise ProfileError(str(path), WHOLE_FILE, "exists already")
    try:
        with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as stream:
            try:
                writer = TraceWriter(stream, trace.title, trace.notes)
                for device in trace.devices:
                    for at_s, what, value in events_of(device):
                        writer.event(device.device, at_s, what, value)
                stream.flush()
                os.fsync(stream.fileno())
                os.link(stream.name, path)  # unlike a rename, fails if somebody was faster
            finally:
                os.unlink(stream.name)
        path.chmod(0o644)
    except OSError as error:
        raise ProfileError(str(path), WHOLE_FILE, f"cannot be written: {error.strerror}") from None
