"""Jitter in a network profile: how much a delay wanders, how fast, and by which distribution.

Knows which jitters can be had in order; how the delay goes is not known here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from profiles.document import Table
from profiles.quantity import Dimension, Quantity

SPREAD, CORRELATION, DISTRIBUTION = "jitter", "jitter_correlation", "jitter_distribution"
KEYS = (SPREAD, CORRELATION, DISTRIBUTION)


@dataclass(frozen=True, slots=True)
class Shape:
    """`below`: how many spreads under its mean the distribution ends. `least_correlation`: in
    spreads; with less, what follows would catch up with what went before, and keeping order would
    change mean and spread (measured: docs/links.md)."""

    below: float
    least_correlation: float


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {"normal": Shape(3.51, 5), "gamma": Shape(1.41, 5), "pareto": Shape(0.73, 20)}
)


@dataclass(frozen=True, slots=True)
class NetworkJitter:
    """Standard deviation of the delay of one direction, around half the round trip; each
    direction goes its own way. After `correlation_s` the correlation has fallen to 1/e."""

    spread_s: float
    correlation_s: float
    distribution: str


def parse_jitter(table: Table, rtt_s: float) -> tuple[NetworkJitter | None, dict[str, Quantity]]:
    """The jitter of a network's table, if it has one, and its figures as written."""
    if not any(key in table.entries for key in KEYS):
        return None, {}
    spread = table.quantity(SPREAD, Dimension.DURATION)
    correlation = table.quantity(CORRELATION, Dimension.DURATION)
    name = table.text(DISTRIBUTION)
    if name not in SHAPES:
        raise table.error(DISTRIBUTION, f"must be one of {', '.join(SHAPES)}, not {name!r}")
    shape = SHAPES[name]
    if spread.value * shape.below > rtt_s / 2:
        rule = f"a {name} delay goes {shape.below:g} × jitter below its mean, which is half the rtt"
        raise table.error(SPREAD, rule)
    if correlation.value < shape.least_correlation * spread.value:
        rule = f"must be at least {shape.least_correlation:g} × jitter for a {name} delay"
        raise table.error(CORRELATION, rule)
    found = NetworkJitter(spread.value, correlation.value, name)
    return found, {SPREAD: spread, CORRELATION: correlation}
