"""Spans and events: what a run records about itself.

Telemetry travels outside the protocol and outside the emulated links; strategies never see it.
Everyone emits to an injected `Recorder`; `Tracer` measures spans for one party.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
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

    @contextmanager
    def span(self, phase: str, round_: int) -> Iterator[dict[str, Json]]:
        """Measure the enclosed phase; what is put into the yielded dict becomes its notes.

        A phase that raises is recorded with the note `failed` and the exception's type name.
        """
        notes: dict[str, Json] = {}
        start_s, (up, down) = self._clock(), self._meter()
        late_s = 0.0 if self._late is None else self._late()
        try:
            yield notes
        except BaseException as error:
            notes["failed"] = type(error).__name__
            raise
        finally:
            end_up, end_down = self._meter()
            end_s = self._clock()
            if self._late is not None:
                notes["late_s"] = max(0.0, self._late() - late_s)
            self._recorder.record(
                Span(
                    phase, round_, self._client, start_s, end_s, end_up - up, end_down - down, notes
                )
            )

    def event(self, kind: str, round_: int, client: int | None = None, **notes: Json) -> None:
        """Record an event now; `client` is whom it concerns, if not this party itself."""
        about = self._client if client is None else client
        self._recorder.record(Event(kind, round_, about, self._clock(), notes))
