"""How many corrupt clients a random sample may hold, against direct sums."""

from fractions import Fraction
from math import comb

import pytest

from protocol.errors import LocalError
from protocol.secagg.sample import most_corrupt


def beyond(clients: int, corrupt: int, sample: int, most: int) -> Fraction:
    """P(more than `most` corrupt in the sample), term by term."""
    hits = range(most + 1, min(corrupt, sample) + 1)
    found = sum(comb(corrupt, h) * comb(clients - corrupt, sample - h) for h in hits)
    return Fraction(found, comb(clients, sample))


@pytest.mark.parametrize(
    ("clients", "corrupt", "sample"),
    [(1000, 100, 30), (1000, 100, 100), (1000, 100, 999), (10_000, 1000, 100), (20, 2, 10)],
)
def test_is_the_smallest_number_within_the_bound(clients: int, corrupt: int, sample: int) -> None:
    most = most_corrupt(clients, corrupt, sample)
    assert beyond(clients, corrupt, sample, most) <= Fraction(1, 2**40)
    assert most == 0 or beyond(clients, corrupt, sample, most - 1) > Fraction(1, 2**40)


def test_edges() -> None:
    assert most_corrupt(1000, 100, 1000) == 100  # everybody
    assert most_corrupt(1000, 0, 50) == 0
    assert most_corrupt(50, 50, 7) == 7
    assert most_corrupt(20, 2, 10) == 2  # few: chance is no help


@pytest.mark.parametrize(("clients", "corrupt", "sample"), [(10, 11, 5), (10, -1, 5), (10, 1, 0)])
def test_nonsense_is_refused(clients: int, corrupt: int, sample: int) -> None:
    with pytest.raises(LocalError, match="no sample"):
        most_corrupt(clients, corrupt, sample)
