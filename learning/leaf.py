"""LEAF's JSON (arXiv 1812.01097): who holds which samples, in files of a train and a test folder.

Layout: {"users": [...], "num_samples": [...], "user_data": {user: {"x": [...], "y": [...]}}}.
Reads and checks the frame; what x and y are is the task's to check. Must not know tasks.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


class LeafError(ValueError):
    """A file that is not LEAF's: names it, the key and the rule broken."""


@dataclass(frozen=True, slots=True)
class User:
    """One user's samples, and the file they came from."""

    name: str
    x: Sequence[object]
    y: Sequence[object]
    path: Path


def is_leaf(folder: Path) -> bool:
    return all(any((folder / part).glob("*.json")) for part in ("train", "test"))


def read_users(folder: Path) -> Iterator[User]:
    """Every user of a folder's `*.json`, file by file in the order of their names."""
    for path in sorted(folder.glob("*.json")):
        yield from _read(path)


def _read(path: Path) -> Iterator[User]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise LeafError(f"{path}: cannot be read as JSON: {error}") from error
    kinds = {"users": list, "num_samples": list, "user_data": dict}
    for key, kind in kinds.items():
        if not isinstance(content, dict) or not isinstance(content.get(key), kind):
            raise LeafError(f"{path}: {key}: must be there, a JSON {kind.__name__}")
    users, counts = content["users"], content["num_samples"]
    if len(users) != len(counts) or len(set(map(str, users))) != len(users):
        raise LeafError(f"{path}: users: must be different, one num_samples for each")
    for name, count in zip(users, counts, strict=True):
        yield _user(path, str(name), count, content["user_data"].get(name))


def _user(path: Path, name: str, count: object, data: object) -> User:
    where = f"{path}: user_data.{name}"
    if not isinstance(data, dict):
        raise LeafError(f"{where}: must be there, with x and y")
    x, y = data.get("x"), data.get("y")
    if not isinstance(x, list) or not isinstance(y, list) or not len(x) == len(y) == count:
        raise LeafError(f"{where}: x and y must be lists of num_samples = {count}")
    return User(name, x, y, path)
