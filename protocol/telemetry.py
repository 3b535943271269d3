"""Spans and events: what a run records about itself.

Telemetry travels outside the protocol and outside the emulated links; strategies never see it.
Everyone emits to an injected `Recorder`; `Tracer` measures spans for one party.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class Span:
    """One phase of one party. `client` is None for the coordinator. Times in seconds of the run's
    clock; bytes are those its links passed meanwhile, framing included."""

    phase: str
    round: int
    client: int | None
    start_s: float
    end_s: float
    bytes_up: int = 0
    bytes_down: int = 0
    notes: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at one instant."""

    kind: str
    round: int
    client: int | None
    time_s: float
    notes: Mapping[str, Json] = field(default_factory=dict)


class Recorder(Protocol):
    """Takes what was measured. Never blocks, never raises on a full disk: it remembers and the
    run's end reports it."""

    def record(self, item: Span | Event) -> None: ...


class ListRecorder:
    """The double: keeps everything in memory."""

    def __init__(self) -> None:
        self.items: list[Span | Event] = []

    def record(self, item: Span | Event) -> None:
        self.items.append(item)


class Tracer:
    """Measures one party's spans with its clock and its byte meter.

    `meter` returns the bytes sent and received so far (up, down); a party without an emulated
    link passes none and its spans carry zero bytes. `late` returns the seconds by which emulation
    has held the party up so far: each span notes its part as `late_s`.
    """

    def __init__(
        self,
        recorder: Recorder,
        clock: Callable[[], float],
        client: int | None = None,
        meter: Callable[[], tuple[int, int]] = lambda: (0, 0),
        late: Callable[[], float] | None = None,
    ) -> None:
        self._recorder = recorder
        self._clock = clock
        self._client = client
        self._meter = meter
        self._late = late

    def now(self) -> float:
        return self._clock()

    def span(self, phase: str, round_: int) -> AbstractContextManager[dict[str, Json]]:
        """Measure the enclosed phase; what is put into the yielded dict becomes its notes.

        A phase that raises is recorded with the note `failed` and the exception's type name.
        """
        return _Measuring(self, phase, round_)

    def event(self, kind: str, round_: int, client: int | None = None, **notes: Json) -> None:
        """Record an event now; `client` is whom it concerns, if not this party itself."""
        about = self._client if client is None else client
        self._recorder.record(Event(kind, round_, about, self._clock(), notes))


class _Measuring:
    """A span under way. A class, because a generator would take twice as long."""

    __slots__ = ("_before", "_late_s", "_notes", "_phase", "_round", "_start_s", "_tracer")

    def __init__(self, tracer: Tracer, phase: str, round_: int) -> None:
        self._tracer, self._phase, self._round = tracer, phase, round_
        self._notes: dict[str, Json] = {}

    def __enter__(self) -> dict[str, Json]:
        tracer = self._tracer
        self._start_s, self._before = tracer._clock(), tracer._meter()
        self._late_s = 0.0 if tracer._late is None else tracer._late()
        return self._notes

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        tracer, notes, (up, down) = self._tracer, self._notes, self._before
        if error is not None:
            notes["failed"] = type(error).__name__
        end_up, end_down = tracer._meter()
        end_s = tracer._clock()
        if tracer._late is not None:
            notes["late_s"] = max(0.0, tracer._late() - self._late_s)
        passed = end_up - up, end_down - down
        tracer._recorder.record(
            Span(self._phase, self._round, tracer._client, self._start_s, end_s, *passed, notes)
        )
