"""What may go wrong when neighbours are drawn at random: the bounds, and the arithmetic of tails.

Probabilities are base-2 logarithms, because the ones that matter are too small to add up.
"""

from collections.abc import Iterable
from math import ceil, inf, lgamma, log, log2

from protocol.errors import LocalError

SECURITY_BITS = 40
"""An update is exposed with probability at most 2^-40."""
CORRECTNESS_BITS = 20
"""A round fails for want of shares with probability at most 2^-20."""


def fraction_of(fraction: float, clients: int) -> int:
    """Rounded up, but not for a rounding error of the product (0.1 · 30 > 3)."""
    if not 0 <= fraction < 1:
        raise LocalError(f"a fraction of clients must lie in [0, 1), not {fraction}")
    return ceil(fraction * clients - 1e-9)


def log2_tail(population: int, marked: int, drawn: int, least: int) -> float:
    """log2 of the probability that at least `least` of `drawn` are `marked`, without return."""
    terms = (
        log2_choose(marked, hits) + log2_choose(population - marked, drawn - hits)
        for hits in range(max(least, 0), min(marked, drawn) + 1)
    )
    return log2_sum(terms) - log2_choose(population, drawn)


def log2_sum(exponents: Iterable[float]) -> float:
    """log2 of a sum of powers of 2."""
    found = list(exponents)
    largest = max(found, default=-inf)
    if largest == -inf:
        return -inf
    return largest + log2(sum(2 ** (exponent - largest) for exponent in found))


def log2_choose(total: int, chosen: int) -> float:
    if not 0 <= chosen <= total:
        return -inf
    return (lgamma(total + 1) - lgamma(chosen + 1) - lgamma(total - chosen + 1)) / log(2)
