"""What a field of a message may hold: one reader per kind of value, used in both directions.

A reader takes the field's path and a foreign value and returns the checked value, or raises
`Malformed` with one line that names path and rule, never the value. It knows no message.
"""

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TypeVar

from protocol.telemetry import Json

MAX_CLIENTS = 16_384
"""Bound of every list and map: four times the largest fleet planned for."""
MAX_ID = 2**32 - 1
MAX_DEPTH = 8
"""Nesting of the settings in Welcome."""

T = TypeVar("T")
Reader = Callable[[str, object], T]


class Malformed(ValueError):
    """A value breaks its field's rule."""


def integer(low: int, high: int) -> Reader[int]:
    def read(path: str, value: object) -> int:
        if type(value) is not int:  # bool is an int, but not on our wire
            raise Malformed(f"{path}: must be an integer, not {type(value).__name__}")
        if not low <= value <= high:
            raise Malformed(f"{path}: must lie in [{low}, {high}]")
        return value

    return read


def text(longest: int, shortest: int = 0) -> Reader[str]:
    def read(path: str, value: object) -> str:
        if type(value) is not str:
            raise Malformed(f"{path}: must be text, not {type(value).__name__}")
        if not shortest <= len(value) <= longest:
            raise Malformed(f"{path}: must be {shortest} to {longest} characters long")
        return value

    return read


def one_of(*choices: str) -> Reader[str]:
    def read(path: str, value: object) -> str:
        if type(value) is not str or value not in choices:
            raise Malformed(f"{path}: must be one of {', '.join(choices)}")
        return value

    return read


def blob(longest: int, shortest: int = 0) -> Reader[bytes]:
    def read(path: str, value: object) -> bytes:
        if type(value) is not bytes:
            raise Malformed(f"{path}: must be bytes, not {type(value).__name__}")
        if not shortest <= len(value) <= longest:
            wanted = f"{shortest}" if shortest == longest else f"{shortest} to {longest}"
            raise Malformed(f"{path}: must be {wanted} bytes long, not {len(value)}")
        return value

    return read


def exactly(size: int) -> Reader[bytes]:
    return blob(size, size)


def none_or_exactly(size: int) -> Reader[bytes]:
    """Bytes that are there whole or not at all."""

    def read(path: str, value: object) -> bytes:
        checked = blob(size)(path, value)
        if len(checked) not in (0, size):
            raise Malformed(f"{path}: must be empty or {size} bytes long, not {len(checked)}")
        return checked

    return read


def optional(reader: Reader[T]) -> Reader[T | None]:
    def read(path: str, value: object) -> T | None:
        return None if value is None else reader(path, value)

    return read


client_id = integer(0, MAX_ID)


def client_ids(path: str, value: object) -> tuple[int, ...]:
    """Ids in ascending order, so that a list has one encoding and holds nobody twice."""
    if not isinstance(value, list | tuple):
        raise Malformed(f"{path}: must be a list, not {type(value).__name__}")
    if len(value) > MAX_CLIENTS:
        raise Malformed(f"{path}: holds more than {MAX_CLIENTS} ids")
    ids = tuple(client_id(f"{path}[{index}]", item) for index, item in enumerate(value))
    if any(left >= right for left, right in pairwise(ids)):
        raise Malformed(f"{path}: ids must ascend, each once")
    return ids


def by_client(reader: Reader[T]) -> Reader[dict[int, T]]:
    def read(path: str, value: object) -> dict[int, T]:
        if not isinstance(value, Mapping):
            raise Malformed(f"{path}: must be a map, not {type(value).__name__}")
        if len(value) > MAX_CLIENTS:
            raise Malformed(f"{path}: holds more than {MAX_CLIENTS} clients")
        ids = client_ids(path, list(value))
        return {client: reader(f"{path}[{client}]", value[client]) for client in ids}

    return read


def key_pair(path: str, value: object) -> tuple[bytes, bytes]:
    """The two public keys of a roster entry: (sealing, masking)."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise Malformed(f"{path}: must be a pair of keys")
    key = exactly(32)
    return key(f"{path}.sealing", value[0]), key(f"{path}.masking", value[1])


def settings(path: str, value: object) -> dict[str, Json]:
    """A map of plain values: finite numbers, 64-bit integers, at most `MAX_DEPTH` deep."""
    plain = _plain(path, value, MAX_DEPTH)
    if not isinstance(plain, dict):
        raise Malformed(f"{path}: must be a map, not {type(value).__name__}")
    return plain


def _plain(path: str, value: object, depth: int) -> Json:
    if depth == 0:
        raise Malformed(f"{path}: nested more than {MAX_DEPTH} deep")
    if value is None or type(value) in (bool, str):
        return value  # type: ignore[return-value]
    if type(value) is int:
        return integer(-(2**63), 2**63 - 1)(path, value)
    if type(value) is float:
        if not math.isfinite(value):
            raise Malformed(f"{path}: must be finite")
        return value
    if isinstance(value, list | tuple):
        return [_plain(f"{path}[{i}]", item, depth - 1) for i, item in enumerate(value)]
    if isinstance(value, Mapping):
        name = text(128)
        return {
            name(f"{path}: key", key): _plain(f"{path}: value", item, depth - 1)
            for key, item in value.items()
        }
    raise Malformed(f"{path}: {type(value).__name__} is not allowed here")
