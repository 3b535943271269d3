"""Clients drawn anew each round: as many as asked, the same for every strategy, nobody favoured."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies import STRATEGIES
from strategies.deadline import Deadline
from strategies.draw import Draw, drawn
from strategies.exclude import Exclusion
from strategies.interface import Cutoff
from strategies.none import Everybody
from strategies.settings import StrategySettings
from tests.strategies.conftest import dense_network

FLEET = range(100)


class Without(Everybody):
    """Leaves some clients out."""

    def __init__(self, without: frozenset[int]) -> None:
        self._without = without

    def participants(
        self, round_: int, joined: Sequence[int], arrivals: Mapping[int, float]
    ) -> Sequence[int]:
        return [client for client in joined if client not in self._without]


def test_without_sampling_the_strategy_is_asked_directly() -> None:
    inner = Everybody()
    assert drawn(inner, Draw(seed=0)) is inner


@given(seed=st.integers(0, 2**32), number=st.integers(1, 120), round_=st.integers(1, 10**6))
def test_as_many_as_asked_ascending_and_the_same_again(seed: int, number: int, round_: int) -> None:
    half = drawn(Everybody(), Draw(seed, number))
    chosen = half.participants(round_, FLEET, {})
    assert len(chosen) == min(number, len(FLEET))
    assert list(chosen) == sorted(set(chosen))
    assert half.participants(round_, FLEET, {}) == chosen


def test_known_draws() -> None:
    """Another value would make recorded runs unrepeatable."""
    half = drawn(Everybody(), Draw(seed=1, clients=5))
    assert [half.participants(r, FLEET, {}) for r in (1, 2)] == KNOWN


KNOWN = [[5, 52, 76, 84, 91], [4, 19, 40, 53, 59]]


def test_whoever_is_left_out_is_replaced_and_the_others_stay() -> None:
    """So that strategies are compared over the same clients as far as they want them."""
    everybody = drawn(Everybody(), Draw(3, 10)).participants(1, FLEET, {})
    without = frozenset(everybody[:2])
    others = drawn(Without(without), Draw(3, 10)).participants(1, FLEET, {})
    assert len(others) == 10
    assert set(everybody) - without <= set(others)


def test_nobody_is_favoured() -> None:
    """Counts over 2,000 rounds of 10 in 100: binomial, 5 standard deviations are 67."""
    half = drawn(Everybody(), Draw(0, 10))
    counts = Counter(c for r in range(2000) for c in half.participants(r, FLEET, {}))
    assert max(abs(counts[client] - 200) for client in FLEET) < 67


def test_availability_is_met_and_independent_of_the_number_drawn() -> None:
    half = drawn(Everybody(), Draw(0, None, 0.8))
    found = [len(half.participants(r, FLEET, {})) for r in range(500)]
    assert sum(found) / len(found) == pytest.approx(80, abs=1)
    few = drawn(Everybody(), Draw(0, 10, 0.8))
    assert all(
        set(few.participants(r, FLEET, {})) <= set(half.participants(r, FLEET, {}))
        for r in range(50)
    )


def test_the_strategy_still_sees_all_who_joined() -> None:
    """`exclude` judges by arrivals of earlier rounds, also of clients that are away now."""
    exclusion = Exclusion(StrategySettings(warmup_rounds=1), dense_network())
    half = drawn(exclusion, Draw(0, 5))
    half.participants(1, range(10), {})
    arrivals = dict.fromkeys(range(9), 1.0) | {9: 50.0}
    chosen = [half.participants(r, range(10), arrivals) for r in range(2, 6)]
    assert all(len(c) == 5 and 9 not in c for c in chosen)
    assert list(half.left_out()) == [9]


def test_what_judges_by_earlier_rounds_says_what_becomes_of_it() -> None:
    told = {name for name, strategy in STRATEGIES.items() if strategy.when_drawn}
    by_the_merged_model = {"fedsparsify-global", "one-shot", "random-gradual", "snip"}
    assert told == set(STRATEGIES) - {"none"} - by_the_merged_model
    assert not any("\n" in strategy.when_drawn for strategy in STRATEGIES.values())


def test_a_cutoff_waits_for_as_many_fewer() -> None:
    """A deadline that may leave out a fifth leaves out a fifth of those drawn."""
    settings = StrategySettings(warmup_rounds=0, deadline_s=5.0)
    half = drawn(Deadline(settings, dense_network()), Draw(0, 10))
    half.participants(1, FLEET, {})
    assert half.cutoff(1) == Cutoff(5.0, 8)
    assert drawn(Everybody(), Draw(0, 10)).cutoff(1) is None
