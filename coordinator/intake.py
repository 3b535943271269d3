"""Telemetry from workers of other processes, beside the emulated links.

A worker's clock is mapped to the coordinator's by the smallest difference seen between a batch's
sending and its arrival: right up to the fastest one-way trip of the unshaped connection (well
under a millisecond on one host).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgpack

from protocol.errors import ProtocolError
from protocol.telemetry import Event, Recorder, Span

MAX_BATCH_BYTES = 1 << 20
_SPAN_KEYS = {"phase", "round", "start_s", "end_s", "bytes_up", "bytes_down", "notes"}
_EVENT_KEYS = {"kind", "round", "time_s", "notes"}


class TelemetryIntake:
    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._offset_s: dict[int, float] = {}

    def accept(self, client: int, body: bytes, now_s: float) -> None:
        """Record a batch `{"sent_s": float, "spans": [...], "events": [...]}` of `client`.

        Raises ProtocolError if it is not one; nothing of a malformed batch is recorded.
        """
        try:
            batch = msgpack.unpackb(body, strict_map_key=True)
            difference_s = now_s - float(batch["sent_s"])
            spans = [_span(client, item) for item in batch["spans"]]
            events = [_event(client, item) for item in batch["events"]]
        except (ValueError, TypeError, KeyError, msgpack.UnpackException) as error:
            raise ProtocolError(f"telemetry batch malformed: {type(error).__name__}") from error
        offset_s = min(difference_s, self._offset_s.get(client, difference_s))
        self._offset_s[client] = offset_s
        for span in spans:
            self._recorder.record(
                replace(span, start_s=span.start_s + offset_s, end_s=span.end_s + offset_s)
            )
        for event in events:
            self._recorder.record(replace(event, time_s=event.time_s + offset_s))


def _span(client: int, item: Mapping[str, Any]) -> Span:
    if set(item) != _SPAN_KEYS:
        raise KeyError("span keys")
    numbers = [float(item[key]) for key in ("start_s", "end_s")]
    counts = [int(item[key]) for key in ("round", "bytes_up", "bytes_down")]
    phase, notes = str(item["phase"])[:32], dict(item["notes"])
    return Span(phase, counts[0], client, numbers[0], numbers[1], counts[1], counts[2], notes)


def _event(client: int, item: Mapping[str, Any]) -> Event:
    if set(item) != _EVENT_KEYS:
        raise KeyError("event keys")
    notes = dict(item["notes"])
    return Event(str(item["kind"])[:32], int(item["round"]), client, float(item["time_s"]), notes)
