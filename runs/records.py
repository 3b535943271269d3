"""Spans and events as lines of JSON, and back. Knows their shape, not their meaning."""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import cast

import orjson

from protocol.telemetry import Event, Json, Span
from runs.errors import RunFolderError
from runs.values import number, table, whole

SCHEMA = 1

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def plain(value: object) -> Json:
    """Any value as JSON: what is not finite becomes null, what JSON lacks becomes text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return plain(value.tolist())
    return str(value)


def encode(items: Iterable[Span | Event]) -> str:
    """A line each, with its newline. What is as its types say is written by orjson, because a large
    run has a million items; the same bytes as the standard library's, which writes the rest."""
    lines = []
    for item in items:
        notes = item.notes
        if notes and not _is_plain(notes):
            line = None
        elif type(item) is Span:
            line = _span_line(item)
        else:
            line = _event_line(cast(Event, item))
        lines.append(line or (_encode(plain(as_mapping(item))) + "\n").encode())
    return b"".join(lines).decode()


def _span_line(item: Span) -> bytes | None:
    start_s, end_s = item.start_s, item.end_s
    if not (type(start_s) is float is type(end_s)):
        return None
    if not (_LEAST <= start_s < _MOST and _LEAST <= end_s < _MOST):
        return None
    raw = {
        "schema": SCHEMA,
        "type": "span",
        "phase": item.phase,
        "round": item.round,
        "client": item.client,
        "start_s": start_s,
        "end_s": end_s,
        "bytes_up": item.bytes_up,
        "bytes_down": item.bytes_down,
        "notes": item.notes,
    }
    return _quick(raw)


def _event_line(item: Event) -> bytes | None:
    if type(item.time_s) is not float or not _LEAST <= item.time_s < _MOST:
        return None
    raw = {
        "schema": SCHEMA,
        "type": "event",
        "kind": item.kind,
        "round": item.round,
        "client": item.client,
        "time_s": item.time_s,
        "notes": item.notes,
    }
    return _quick(raw)


def _quick(raw: dict[str, object]) -> bytes | None:
    """None for what orjson does not take: whole numbers of more than 64 bits, lone surrogates."""
    try:
        return orjson.dumps(raw, None, _OPTIONS)
    except TypeError:
        return None


def _is_plain(notes: Mapping[str, Json]) -> bool:
    if type(notes) is not dict:
        return False
    for value in notes.values():
        kind = type(value)
        if kind is float:
            if value and not _LEAST <= value < _MOST:
                return False
        elif kind is dict:
            if not (_is_plain(value) and all(type(key) is str for key in value)):
                return False
        elif kind is not str and kind is not int and kind is not bool and value is not None:
            return False
    return True


_LEAST, _MOST = 1e-4, 1e16
"""Between these a float has no exponent, which the two libraries write differently."""
_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_PASSTHROUGH_SUBCLASS


def as_mapping(item: Span | Event) -> dict[str, object]:
    kind = "span" if isinstance(item, Span) else "event"
    values = {field.name: getattr(item, field.name) for field in fields(item)}
    return {"schema": SCHEMA, "type": kind, **values}


def decode(line: str) -> Span | Event:
    """Raises ValueError naming the rule that the line breaks."""
    try:
        raw: object = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error.msg})") from None
    if not isinstance(raw, dict):
        raise ValueError("must be a JSON object")
    if raw.get("schema") != SCHEMA:
        raise ValueError(f"schema must be {SCHEMA}, is {raw.get('schema')!r}")
    round_, client = whole(raw, "round"), raw.get("client")
    if round_ is None:
        raise ValueError("round must be a whole number")
    if client is not None and whole(raw, "client") is None:
        raise ValueError("client must be a whole number or null")
    notes = cast(Mapping[str, Json], table(raw, "notes"))
    if raw.get("type") == "span":
        return _span(raw, round_, client, notes)
    if raw.get("type") == "event":
        kind = _required_text(raw, "kind")
        return Event(kind, round_, client, _required_number(raw, "time_s"), notes)
    raise ValueError(f"type must be span or event, is {raw.get('type')!r}")


def _span(
    raw: Mapping[str, object], round_: int, client: int | None, notes: Mapping[str, Json]
) -> Span:
    start_s, end_s = _required_number(raw, "start_s"), _required_number(raw, "end_s")
    if end_s < start_s:
        raise ValueError("end_s must not lie before start_s")
    up, down = whole(raw, "bytes_up"), whole(raw, "bytes_down")
    if up is None or down is None or up < 0 or down < 0:
        raise ValueError("bytes_up and bytes_down must be whole numbers of at least 0")
    return Span(_required_text(raw, "phase"), round_, client, start_s, end_s, up, down, notes)


def _required_number(raw: Mapping[str, object], key: str) -> float:
    value = number(raw, key)
    if value is None:
        raise ValueError(f"{key} must be a number")
    return value


def _required_text(raw: Mapping[str, object], key: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str):
        raise ValueError(f"{key} must be text")
    return value


def read(path: Path, start: int = 0) -> Iterator[Span | Event]:
    """Every whole line of an events.jsonl, from byte `start` on. A last line without newline is
    what a killed process left of its last write, and is not read."""
    try:
        with path.open(encoding="utf-8", newline="\n") as lines:
            if start > path.stat().st_size:
                raise RunFolderError(f"{path}: is shorter than its checkpoint says")
            lines.seek(start)
            for index, line in enumerate(lines, start=1):
                if not line.endswith("\n"):
                    return
                try:
                    yield decode(line)
                except ValueError as error:
                    raise RunFolderError(f"{path}, line {index}: {error}") from None
    except OSError as error:
        raise RunFolderError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise RunFolderError(f"{path}: must be UTF-8 text") from None


def digest(path: Path) -> str | None:
    """SHA-256 of an event log; None if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
