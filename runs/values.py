"""Reading loosely typed values (notes of spans, settings of a config) without inventing any.

What is absent or of another type is None: not measured.
"""

import math
from collections.abc import Mapping, Sequence


def number(source: Mapping[str, object], key: str) -> float | None:
    value = source.get(key)
    if value is None or type(value) is float:  # as nearly always, and a large run asks often
        return value if value is not None and value - value == 0.0 else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def whole(source: Mapping[str, object], key: str) -> int | None:
    value = source.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def text(source: Mapping[str, object], key: str) -> str | None:
    value = source.get(key)
    return value if isinstance(value, str) else None


def flag(source: Mapping[str, object], key: str) -> bool | None:
    value = source.get(key)
    return value if isinstance(value, bool) else None


def table(source: Mapping[str, object], key: str) -> Mapping[str, object]:
    """A nested mapping, its keys as text; empty where there is none."""
    value = source.get(key)
    return {str(k): v for k, v in value.items()} if isinstance(value, Mapping) else {}


def items(source: Mapping[str, object], key: str) -> Sequence[object]:
    value = source.get(key)
    return value if isinstance(value, list | tuple) else ()


def mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
