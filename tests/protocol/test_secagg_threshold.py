"""Thresholds: the default, and the bounds that an unsafe one misses."""

import pytest

from protocol.errors import LocalError
from protocol.secagg.threshold import check_threshold, default_threshold


@pytest.mark.parametrize(
    ("clients", "threshold"), [(2, 2), (3, 3), (4, 3), (5, 4), (20, 14), (100, 67), (1000, 667)]
)
def test_the_default(clients: int, threshold: int) -> None:
    """⌊2n/3⌋ + 1: no client fewer would hold against n/3 − 1 corrupt and an active server."""
    assert default_threshold(clients) == threshold
    corrupt = (clients - 1) // 3  # the most below n/3
    check_threshold(clients, threshold, corrupt, active=True)
    assert 2 * threshold > clients + corrupt


def test_smaller_ones_hold_against_the_semi_honest() -> None:
    check_threshold(20, 5, corrupt=4)
    assert default_threshold(20) > 5


@pytest.mark.parametrize(
    ("clients", "threshold", "corrupt", "active", "bound"),
    [
        (20, 21, 0, False, "more than the 20"),
        (20, 1, 0, False, "below 2"),
        (20, 0, 0, False, "below 2"),
        (20, 5, 5, False, "exceed the 5 corrupt"),
        (20, 10, 0, True, "must exceed (participants + corrupt) / 2 = 10"),
        (20, 13, 6, True, "= 13"),
        (5, 3, 1, True, "= 3"),
        (3, 3, 2, True, "at least the 2 corrupt clients + 2"),
        (2, 2, 1, True, "fewer than 2 honest clients"),
    ],
)
def test_unsafe_ones_are_refused(
    clients: int, threshold: int, corrupt: int, active: bool, bound: str
) -> None:
    with pytest.raises(LocalError) as refusal:
        check_threshold(clients, threshold, corrupt, active)
    assert bound in str(refusal.value)


@pytest.mark.parametrize(("crowd", "rule"), [(4, "+ 4 against an active"), (1, "hides nobody")])
def test_crowds_that_are_refused(crowd: int, rule: str) -> None:
    with pytest.raises(LocalError) as refusal:
        check_threshold(7, 5, 2, active=True, crowd=crowd)
    assert rule in str(refusal.value)
    check_threshold(7, 5, 2, active=True, crowd=3)


def test_a_sum_needs_two() -> None:
    with pytest.raises(LocalError, match="at least two"):
        default_threshold(1)
