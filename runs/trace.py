"""trace.json: every span and event for a timeline viewer (Chrome/Perfetto trace events).

A process per device, in it a row per kind of phase. Streams; holds no run in memory.
Format: "Trace Event Format" (Google), the JSON Object variant, times in microseconds.
"""

import json
from collections.abc import Iterable, Iterator, Mapping

from protocol.telemetry import Event, Json, Span
from runs.records import plain
from runs.settings import Place

_ROWS = {
    "round": (1, "round"),
    "download": (3, "network"),
    "upload": (3, "network"),
    "fit": (2, "compute"),
    "mask": (4, "aggregation"),
    "keys": (4, "aggregation"),
    "shares": (4, "aggregation"),
    "consistency": (4, "aggregation"),
    "unmask": (4, "aggregation"),
}
_OTHER = (5, "other")


def trace_text(items: Iterable[Span | Event], places: Mapping[int, Place]) -> Iterator[str]:
    """The file in pieces."""
    yield '{"displayTimeUnit":"ms","traceEvents":[\n'
    yield ",\n".join(json.dumps(entry) for entry in _names(places))
    for item in items:
        yield ",\n" + json.dumps(_span(item) if isinstance(item, Span) else _event(item))
    yield "\n]}\n"


def _process(client: int | None) -> int:
    """The coordinator is process 1; client c is c + 2 (ids count from 0 or 1)."""
    return 1 if client is None else client + 2


def _names(places: Mapping[int, Place]) -> Iterator[dict[str, Json]]:
    yield _metadata("process_name", 1, 0, "coordinator")
    for client, place in sorted(places.items()):
        where = ", ".join(part for part in (place.device, place.network) if part)
        yield _metadata("process_name", _process(client), 0, f"client {client} ({where})")
    for process in [1, *(_process(client) for client in sorted(places))]:
        for row, name in sorted({*_ROWS.values(), _OTHER}):
            yield _metadata("thread_name", process, row, name)


def _metadata(kind: str, process: int, row: int, name: str) -> dict[str, Json]:
    return {"name": kind, "ph": "M", "pid": process, "tid": row, "args": {"name": name}}


def _span(span: Span) -> dict[str, Json]:
    return {
        "name": span.phase,
        "cat": "phase",
        "ph": "X",
        "pid": _process(span.client),
        "tid": _ROWS.get(span.phase, _OTHER)[0],
        "ts": round(span.start_s * 1e6, 3),
        "dur": round((span.end_s - span.start_s) * 1e6, 3),
        "args": {
            "round": span.round,
            "bytes_up": span.bytes_up,
            "bytes_down": span.bytes_down,
            **{key: plain(value) for key, value in span.notes.items()},
        },
    }


def _event(event: Event) -> dict[str, Json]:
    return {
        "name": event.kind,
        "cat": "event",
        "ph": "i",
        "s": "p",
        "pid": _process(event.client),
        "tid": _OTHER[0],
        "ts": round(event.time_s * 1e6, 3),
        "args": {"round": event.round, **{k: plain(v) for k, v in event.notes.items()}},
    }
