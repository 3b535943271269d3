"""Reading a straggler trace (docs/traces.md): gives back exactly what was written, and refuses all
else by file, line and rule."""

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from profiles.errors import ProfileError, near
from profiles.formats.source import Source, read_source
from profiles.trace import (
    DeviceTrace,
    Dropout,
    Intervals,
    Opportunities,
    Rate,
    RoundStart,
    Steps,
    TraceError,
    TraceFile,
)
from profiles.trace_writing import FORMAT, KINDS, OPPORTUNITIES, PHASES, SCHEMA, STEPPED


def read_trace(path: Path) -> TraceFile:
    """Raises ProfileError naming file, line and rule."""
    return parse_trace(read_source(path))


def parse_trace(source: Source) -> TraceFile:
    content = source.lines()
    if not source.content.endswith(b"\n"):
        raise source.error(f"line {content[-1][0]}", "is cut off: a line ends with a line feed")
    (first, head), *rest = content
    title, notes = _head(source, f"line {first}", head)
    devices: dict[str, _Device] = {}
    for number, text in rest:
        _Line(source, f"line {number}", _json(source, f"line {number}", text)).into(devices)
    try:
        traces = tuple(device.finished(source) for device in devices.values())
        return TraceFile(title, notes, traces)
    except TraceError as error:
        raise source.error("", str(error)) from None


def _json(source: Source, place: str, text: str) -> object:
    try:
        return Source(source.file, text.encode()).json()
    except ProfileError as error:
        raise source.error(place, error.rule) from None


def _head(source: Source, place: str, text: str) -> tuple[str, tuple[str, ...]]:
    head = _json(source, place, text)
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise source.error(place, f'is no straggler trace: must begin with {{"format":"{FORMAT}"')
    if head.get("schema") != SCHEMA:
        raise source.error(place, f"schema must be {SCHEMA}, not {head.get('schema')!r}")
    if unknown := sorted(head.keys() - {"format", "schema", "title", "notes"}):
        raise source.error(place, f"unknown key {unknown[0]!r}")
    title, notes = head.get("title"), head.get("notes", [])
    if not isinstance(title, str) or not isinstance(notes, list):
        raise source.error(place, "title must be text, notes a list of texts")
    if not all(isinstance(note, str) for note in notes):
        raise source.error(place, "title must be text, notes a list of texts")
    return title, tuple(notes)


@dataclass(slots=True)
class _Device:
    """What has been read of one device."""

    name: str
    times: dict[str, list[float]] = field(default_factory=dict)
    values: dict[str, list[object]] = field(default_factory=dict)
    end_s: float | None = None

    def finished(self, source: Source) -> DeviceTrace:
        if self.end_s is None:
            raise source.error("", f"device {self.name!r} has no end")
        try:
            return self._trace(self.end_s)
        except TraceError as error:
            raise source.error("", f"device {self.name!r}: {error}") from None

    def _trace(self, end_s: float) -> DeviceTrace:
        up, down = (self._rate(way, end_s) for way in ("up", "down"))
        up_delay_s, down_delay_s, pace = (self._steps(what, end_s) for what in STEPPED[2:])
        available = self._intervals(end_s)
        rounds = zip(self.times.get("round", ()), self.values.get("round", ()), strict=True)
        lost = zip(self.times.get("dropped", ()), self.values.get("dropped", ()), strict=True)
        return DeviceTrace(
            self.name,
            end_s,
            up,
            down,
            up_delay_s,
            down_delay_s,
            pace,
            available,
            tuple(RoundStart(at_s, n) for at_s, n in rounds if isinstance(n, int)),
            tuple(Dropout(at_s, *v) for at_s, v in lost if isinstance(v, tuple)),
        )

    def _rate(self, way: str, end_s: float) -> Rate | None:
        listed = self.values.get(f"{way}_opportunities_ms")
        steps = self._steps(f"{way}_bytes_per_s", end_s)
        if listed is None:
            return steps
        if steps is not None:
            raise TraceError(f"{way} has both a rate and opportunities")
        flat = tuple(at for chunk in listed if isinstance(chunk, list) for at in chunk)
        return Opportunities(flat, end_s)

    def _steps(self, what: str, end_s: float) -> Steps | None:
        if what not in self.times:
            return None
        values = tuple(v for v in self.values[what] if isinstance(v, float))
        try:
            return Steps(tuple(self.times[what]), values, end_s)
        except TraceError as error:
            raise TraceError(f"{what}: {error}") from None

    def _intervals(self, end_s: float) -> Intervals | None:
        if "available" not in self.times:
            return None
        spans: list[tuple[float, float]] = []
        toggles = list(zip(self.times["available"], self.values["available"], strict=True))
        for (at_s, on), (until_s, _) in zip(toggles, [*toggles[1:], (end_s, False)], strict=True):
            if on:
                spans.append((at_s, until_s))
        try:
            return Intervals(tuple(spans), end_s)
        except TraceError as error:
            raise TraceError(f"available: {error}") from None


class _Line:
    """One event, checked."""

    def __init__(self, source: Source, place: str, raw: object) -> None:
        self._source, self._place = source, place
        if not isinstance(raw, list) or len(raw) not in (3, 4):
            raise self._error("must be [device, at_s, what, value]")
        if not isinstance(raw[0], str) or not raw[0]:
            raise self._error("the device must be text, and not empty")
        if raw[2] not in KINDS:
            raise self._error(f"unknown kind {raw[2]!r}; {near(str(raw[2]), KINDS)}")
        self._device, self._what = raw[0], str(raw[2])
        self._at_s = source.time(place, source.number(place, raw[1]))
        self._value = raw[3] if len(raw) == 4 else None

    def _error(self, rule: str) -> ProfileError:
        return self._source.error(self._place, rule)

    def into(self, devices: dict[str, _Device]) -> None:
        device = devices.setdefault(self._device, _Device(self._device))
        if self._what == "end":
            if self._value is not None or device.end_s is not None:
                raise self._error("an end comes once for each device, and has no value")
            device.end_s = self._at_s
            return
        times = device.times.setdefault(self._what, [])
        if times and self._at_s < times[-1]:
            raise self._error(f"times must not decrease: {self._at_s:g} after {times[-1]:g}")
        times.append(self._at_s)
        device.values.setdefault(self._what, []).append(self._checked())

    def _checked(self) -> object:
        value, what = self._value, self._what
        if what in STEPPED:
            number = self._source.number(self._place, value)
            return self._source.rate(self._place, number) if "bytes" in what else number
        if what in OPPORTUNITIES:
            return self._opportunities()
        if what == "available":
            if not isinstance(value, bool):
                raise self._error("available must be true or false")
            return value
        if what == "round":
            return self._round(value)
        if not isinstance(value, dict) or value.keys() != {"round", "phase"}:
            raise self._error('dropped must be {"round":N,"phase":NAME}')
        if value["phase"] not in PHASES:
            raise self._error(f"phase must be one of {', '.join(PHASES)}")
        return self._round(value["round"]), value["phase"]

    def _round(self, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
            raise self._error("a round must be a whole number from 0 to 2^31")
        return value

    def _opportunities(self) -> list[int]:
        value = self._value
        if not isinstance(value, list) or not value:
            raise self._error("opportunities must be a list of ms, and not empty")
        if not all(isinstance(at, int) and not isinstance(at, bool) for at in value):
            raise self._error("opportunities must be whole numbers of ms")
        if value[0] / 1000 != self._at_s or any(b < a for a, b in pairwise(value)):
            raise self._error("opportunities must begin at at_s and must not decrease")
        return value
