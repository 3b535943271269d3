"""Spans and events as lines of JSON, and back. Knows their shape, not their meaning."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import cache
from json.encoder import encode_basestring
from pathlib import Path
from typing import cast

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


def encode(item: Span | Event) -> str:
    """One line, with its newline. Made by hand where every value is what its type says, because
    a large run has a million of these."""
    client = "null" if item.client is None else int(item.client)
    notes = _notes(item.notes) if item.notes else "{}"
    if isinstance(item, Span):
        start_s, end_s = item.start_s, item.end_s
        if notes is None or not (_is_finite_float(start_s) and _is_finite_float(end_s)):
            return _encode(plain(_line(item))) + "\n"
        return (
            f'{{"schema":{SCHEMA},"type":"span","phase":{_text(item.phase)},"round":{item.round},'
            f'"client":{client},"start_s":{start_s!r},"end_s":{end_s!r},'
            f'"bytes_up":{item.bytes_up},"bytes_down":{item.bytes_down},"notes":{notes}}}\n'
        )
    if notes is None or not _is_finite_float(item.time_s):
        return _encode(plain(_line(item))) + "\n"
    return (
        f'{{"schema":{SCHEMA},"type":"event","kind":{_text(item.kind)},"round":{item.round},'
        f'"client":{client},"time_s":{item.time_s!r},"notes":{notes}}}\n'
    )


def _is_finite_float(value: object) -> bool:
    return type(value) is float and value - value == 0.0


def _notes(notes: Mapping[str, Json]) -> str | None:
    """As JSON; None if JSON does not know something in it or a number is not finite."""
    parts = []
    for key, value in notes.items():
        if type(value) is float:
            if value - value != 0.0:
                return None
            said = repr(value)
        elif type(value) is str:
            said = encode_basestring(value)
        elif type(value) is int:
            said = repr(value)
        elif value is None or type(value) is bool:
            said = _WORDS[value]
        else:
            try:
                said = _encode(value)
            except (TypeError, ValueError):
                return None
        if type(key) is not str:
            return None
        parts.append(f"{_text(key)}:{said}")
    return "{" + ",".join(parts) + "}"


_WORDS: Mapping[bool | None, str] = {None: "null", True: "true", False: "false"}


def _line(item: Span | Event) -> dict[str, object]:
    kind = "span" if isinstance(item, Span) else "event"
    values = {field.name: getattr(item, field.name) for field in fields(item)}
    return {"schema": SCHEMA, "type": kind, **values}


@cache
def _text(word: str) -> str:
    """Phases, kinds and the keys of notes are few."""
    return _encode(word)


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


def read(path: Path) -> Iterator[Span | Event]:
    """Every whole line of an events.jsonl. A last line without newline is what a killed process
    left of its last write, and is not read."""
    try:
        with path.open(encoding="utf-8", newline="\n") as lines:
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
