"""Figures with a unit and a source, and the one table of units.

A unit belongs to exactly one dimension; there is no default unit and no guessing between scales.
Knows nothing of devices or networks.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Dimension(StrEnum):
    """What a figure measures; the value is its base unit, in which the program calculates."""

    DURATION = "s"
    LINK_RATE = "B/s of a link"
    BYTE_RATE = "B/s of a computation"
    MEMORY = "B"
    BUFFER = "B of a queue"
    MAC_RATE = "MAC/s"
    VALUE_RATE = "value/s"
    SPREAD = "geometric standard deviation"
    SHARE = "share of a whole"
    FACTOR = "factor"


# Decimal prefixes throughout, except for memory, which is sold and measured in powers of two.
# Links are in bits and computations in bytes, so that a slip by a factor of 8 is an error.
UNITS: Mapping[Dimension, Mapping[str, float]] = MappingProxyType(
    {
        Dimension.DURATION: {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9},
        Dimension.LINK_RATE: {"kbit/s": 1e3 / 8, "Mbit/s": 1e6 / 8, "Gbit/s": 1e9 / 8},
        Dimension.BYTE_RATE: {"kB/s": 1e3, "MB/s": 1e6, "GB/s": 1e9},
        Dimension.BUFFER: {"B": 1.0, "kB": 1e3, "MB": 1e6},
        Dimension.MEMORY: {"MiB": 2.0**20, "GiB": 2.0**30},
        Dimension.MAC_RATE: {"MMAC/s": 1e6, "GMAC/s": 1e9, "TMAC/s": 1e12},
        Dimension.VALUE_RATE: {"kvalue/s": 1e3, "Mvalue/s": 1e6, "Gvalue/s": 1e9},
        Dimension.SPREAD: {"gsd": 1.0},
        Dimension.SHARE: {"%": 0.01, "fraction": 1.0},
        Dimension.FACTOR: {"times": 1.0},
    }
)


class Standing(StrEnum):
    """How a figure came about, read off its source's first word."""

    CITED = "cited"
    DERIVED = "derived"
    ASSUMED = "assumed"


class QuantityError(ValueError):
    """A figure that cannot be used; `field` is the entry at fault, or "" for the whole figure."""

    def __init__(self, rule: str, field: str = "") -> None:
        super().__init__(rule)
        self.field = field


@dataclass(frozen=True, slots=True)
class Quantity:
    """One figure: `value` in the dimension's base unit, `number` and `unit` as written."""

    value: float
    number: float
    unit: str
    source: str

    @property
    def text(self) -> str:
        return f"{self.number} {self.unit}"

    @property
    def standing(self) -> Standing:
        return _standing(self.source)

    def to_mapping(self) -> dict[str, str | float]:
        """The inline table it was read from."""
        return {"value": self.number, "unit": self.unit, "source": self.source}


def parse_quantity(raw: object, dimension: Dimension) -> Quantity:
    """Read `{ value = .., unit = "..", source = ".." }`; QuantityError names the rule broken."""
    if not isinstance(raw, Mapping):
        raise QuantityError("must be a table { value = .., unit = .., source = .. }")
    for field in raw:
        if field not in ("value", "unit", "source"):
            raise QuantityError("unknown key; a figure has value, unit and source", str(field))
    for field in ("value", "unit", "source"):
        if field not in raw:
            raise QuantityError("is missing", field)
    number, unit, source = _number(raw["value"]), raw["unit"], _source(raw["source"])
    value = number * _factor(unit, dimension)
    # Rates are turned into seconds per operation: the reciprocal has to exist as well.
    if not math.isfinite(value) or value == 0 or not math.isfinite(1 / value):
        raise QuantityError(f"{number} {unit} is out of range", "value")
    return Quantity(value, number, str(unit), source)


def _number(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise QuantityError("must be a number", "value")
    if isinstance(raw, float) and not math.isfinite(raw):
        raise QuantityError(f"must be finite, not {raw}", "value")
    if not -1e300 < raw < 1e300:  # TOML's whole numbers have no bound
        raise QuantityError("is out of range", "value")
    if raw <= 0:
        raise QuantityError(f"must be above zero, not {raw}", "value")
    return raw


def _factor(unit: object, dimension: Dimension) -> float:
    if not isinstance(unit, str):
        raise QuantityError("must be text", "unit")
    units = UNITS[dimension]
    if unit in units:
        return units[unit]
    if "OP" in unit.upper():
        # A datasheet's peak (INT8, FP16 or FP32 alike) says nothing of the speed of training.
        rule = f"{unit!r} counts peak operations, not measured work; one of {', '.join(units)}"
        raise QuantityError(rule, "unit")
    raise QuantityError(f"{unit!r} is not one of {', '.join(units)}", "unit")


def _source(raw: object) -> str:
    if not isinstance(raw, str):
        raise QuantityError("must be text", "source")
    if not raw.strip() or "\n" in raw:
        raise QuantityError("must be one line naming where the figure is from", "source")
    word, colon, reason = raw.partition(":")
    if colon and word in ("derived", "assumed") and not reason.strip():
        raise QuantityError(f"must say how or why after '{word}:'", "source")
    if not colon and word.strip() in ("derived", "assumed"):
        raise QuantityError(f"must read '{word.strip()}: <how or why>'", "source")
    return raw


def _standing(source: str) -> Standing:
    word, colon, _ = source.partition(":")
    return Standing(word) if colon and word in ("derived", "assumed") else Standing.CITED
