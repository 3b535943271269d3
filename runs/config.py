"""config.toml: the resolved settings of a run as TOML. Knows no particular key."""

import math
from collections.abc import Mapping
from enum import Enum
from os import PathLike, fspath

import tomli_w

from runs.errors import RunFolderError


def config_text(config: Mapping[str, object]) -> str:
    """TOML has no null: keys that are None are left out."""
    return tomli_w.dumps(_table(config, ""))


def _table(source: Mapping[str, object], where: str) -> dict[str, object]:
    return {
        str(key): _value(value, f"{where}{key}")
        for key, value in source.items()
        if value is not None
    }


def _value(value: object, where: str) -> object:
    if isinstance(value, Enum):
        return _value(value.value, where)
    if isinstance(value, Mapping):
        return _table(value, f"{where}.")
    if isinstance(value, list | tuple):
        return [_value(entry, f"{where}[{index}]") for index, entry in enumerate(value)]
    if isinstance(value, PathLike):
        return str(fspath(value))
    if isinstance(value, float) and not math.isfinite(value):
        raise RunFolderError(f"config.toml: {where} must be finite")
    if isinstance(value, bool | int | float | str):
        return value
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return _value(value.tolist(), where)
    raise RunFolderError(f"config.toml: {where} must be a plain value, is {type(value).__name__}")
