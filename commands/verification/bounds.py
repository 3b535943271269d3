"""Verify's bounds, and how far off a figure is as a multiple of its own: beyond 1 is outside.
What was not measured is infinitely far off."""

import math

from commands.verification.figure import Pair

RATE, RATE_TOGETHER, RATE_TOGETHER_MEDIAN = 0.01, 0.02, 0.005
"""Relative; of one link by itself, of any of all at once, and of their median."""
LAST, LAST_S = 0.02, 0.01
"""Relative to a round, as for a run's (docs/output.md), and never less than this."""
RTT_S = 0.0015
JITTER = 0.35
"""Relative: three standard errors of the spread of some 25 exchanges, and what is our own."""
TRANSFER, TRANSFER_S = 0.03, 0.005
"""Against the link's own arithmetic: relative, and never less than this."""
TRANSFER_KERNEL = 0.08
"""Relative, between the model's times and those of the kernel's TCP, which packet and kernel links
have."""

HEADROOM = 0.7
"""Of one core: an event loop that is busier than this makes everybody late."""
SUM, JAIN = 0.02, 0.99
"""Of a shared link: relative, of what all get together; Jain's index of whom it holds back."""


def rate_bound(spread_s: float, seconds: float) -> float:
    """Of a rate over so many seconds behind a delay that wanders by `spread_s` (one standard
    deviation): the first and the last arrival each do, and three deviations are allowed."""
    return RATE + 3 * math.sqrt(2) * spread_s / seconds


def rate_off(rate: Pair, bound: float = RATE) -> float:
    return math.inf if rate.error is None else abs(rate.error) / bound


def trip_off(trip: Pair) -> float:
    return math.inf if trip.delivered is None else abs(trip.delivered - trip.asked) / RTT_S


def jitter_off(jitter: Pair) -> float:
    if not jitter.asked:
        return 0.0
    return math.inf if jitter.error is None else abs(jitter.error) / JITTER


def transfer_off(transfer: Pair, bound: float, count: int = 1) -> float:
    """Of `count` transfers in all."""
    if transfer.delivered is None:
        return math.inf
    allowed_s = max(bound * transfer.asked, count * TRANSFER_S)
    return abs(transfer.delivered - transfer.asked) / allowed_s


def late_off(last: Pair) -> float:
    """A round that is through early is none that came late."""
    if last.delivered is None:
        return math.inf
    return (last.delivered - last.asked) / max(LAST * last.asked, LAST_S)


def rates_off(middle: float | None, worst: float | None) -> float:
    """Of all at once: their median and their worst."""
    return max((middle or 0.0) / RATE_TOGETHER_MEDIAN, (worst or 0.0) / RATE_TOGETHER)
