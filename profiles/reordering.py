"""Reordering in a network profile: which share of packets arrives how much later than its place.

Knows the words, not what a link does with them: only packet links can.
"""

from dataclasses import dataclass

from profiles.document import Table
from profiles.quantity import Dimension, Quantity

SHARE, DELAY = "reordering", "reordering_delay"
KEYS = (SHARE, DELAY)


@dataclass(frozen=True, slots=True)
class NetworkReordering:
    """In each direction this share of packets is held back by so much beyond the delay."""

    share: float
    delay_s: float


def parse_reordering(table: Table) -> tuple[NetworkReordering | None, dict[str, Quantity]]:
    """The reordering of a network's table, if it has one, and its figures as written."""
    if not any(key in table.entries for key in KEYS):
        return None, {}
    share = table.quantity(SHARE, Dimension.SHARE)
    if share.value >= 1:
        raise table.error(f"{SHARE}.value", "must be below 1")
    delay = table.quantity(DELAY, Dimension.DURATION)
    return NetworkReordering(share.value, delay.value), {SHARE: share, DELAY: delay}
