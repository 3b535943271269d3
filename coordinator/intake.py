"""Telemetry from workers of other processes, beside the emulated links.

A worker's clock is mapped to the coordinator's by the smallest difference seen between a batch's
sending and its arrival: right up to the fastest one-way trip of the unshaped connection (well
under a millisecond on one host).
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgpack

from coordinator.allowance import Allowance
from protocol import fields as field
from protocol.errors import ProtocolError
from protocol.telemetry import Event, Json, Recorder, Span

MAX_BATCH_BYTES = 1 << 20
_count = field.integer(0, 2**53)
_name = field.text(32, 1)
_BATCH_KEYS = {"sent_s", "spans", "events"}
_SPAN_KEYS = {"phase", "round", "start_s", "end_s", "bytes_up", "bytes_down", "notes"}
_EVENT_KEYS = {"kind", "round", "time_s", "notes"}


class TelemetryIntake:
    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._offset_s: dict[int, float] = {}
        self._farewells: set[int] = set()
        self._allowances: dict[int, Allowance] = {}

    @property
    def complete(self) -> bool:
        """Whether everybody who reports this way has said its last: how faithful it was."""
        return self._offset_s.keys() <= self._farewells

    def accept(self, client: int, body: bytes, now_s: float, round_: int) -> None:
        """Record a batch `{"sent_s": float, "spans": [...], "events": [...]}` of `client`, sent
        when `round_` is the last that has begun.

        Raises ProtocolError if it is not one, or more than a worker may say; nothing of a batch
        that is refused is recorded.
        """
        try:
            batch = msgpack.unpackb(body, strict_map_key=True)
            _check_keys(batch, _BATCH_KEYS)
            difference_s = now_s - _seconds(batch["sent_s"])
            spans = [_span(client, item) for item in _list(batch["spans"])]
            events = [_event(client, item) for item in _list(batch["events"])]
            self._allowances.setdefault(client, Allowance()).take(
                [*spans, *events], len(body), round_
            )
        except (ValueError, RecursionError, msgpack.UnpackException) as error:
            raise ProtocolError(f"telemetry batch malformed: {type(error).__name__}") from error
        offset_s = min(difference_s, self._offset_s.get(client, difference_s))
        self._offset_s[client] = offset_s
        for span in spans:
            self._recorder.record(
                replace(span, start_s=span.start_s + offset_s, end_s=span.end_s + offset_s)
            )
        for event in events:
            self._recorder.record(replace(event, time_s=event.time_s + offset_s))
            if event.kind == "fidelity":
                self._farewells.add(client)


def _span(client: int, item: Mapping[str, Any]) -> Span:
    _check_keys(item, _SPAN_KEYS)
    return Span(
        phase=_name("phase", item["phase"]),
        round=_count("round", item["round"]),
        client=client,
        start_s=_seconds(item["start_s"]),
        end_s=_seconds(item["end_s"]),
        bytes_up=_count("bytes_up", item["bytes_up"]),
        bytes_down=_count("bytes_down", item["bytes_down"]),
        notes=_notes(item["notes"]),
    )


def _event(client: int, item: Mapping[str, Any]) -> Event:
    _check_keys(item, _EVENT_KEYS)
    kind, round_ = _name("kind", item["kind"]), _count("round", item["round"])
    return Event(kind, round_, client, _seconds(item["time_s"]), _notes(item["notes"]))


def _check_keys(item: object, keys: set[str]) -> None:
    if not isinstance(item, dict) or item.keys() != keys:
        raise field.Malformed("not a map with the keys of a batch, a span or an event")


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise field.Malformed("not a list")
    return value


def _seconds(value: object) -> float:
    """Finite, or a clock would be lost for good: the smallest difference seen is kept."""
    if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type]
        raise field.Malformed("not a finite number of seconds")
    return float(value)  # type: ignore[arg-type]


def _notes(value: object) -> dict[str, Json]:
    """Plain finite values only: whatever is recorded must go into JSON."""
    return field.settings("notes", value)
