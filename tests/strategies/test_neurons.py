import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.structure import Structure, Vector, kept_sizes
from strategies.interface import RoundView
from strategies.neurons import (
    GlobalEvidenceChoice,
    History,
    NeuronChoice,
    OrderedChoice,
    RandomChoice,
    shuffled,
)

RATIOS = st.floats(0.01, 1.0)


def model(structure: Structure, seed: int) -> Vector:
    return np.random.default_rng(seed).normal(size=structure.size).astype(np.float32)


def view(structure: Structure, round_: int, client: int = 0) -> RoundView:
    return RoundView(round_, client, {}, model(structure, round_))


def informed(structure: Structure, number: int, seed: int, round_: int) -> NeuronChoice:
    """Each public order in turn, having seen this round and the one before."""
    choices: list[NeuronChoice] = [
        OrderedChoice(structure),
        RandomChoice(structure, seed),
        GlobalEvidenceChoice(structure),
    ]
    choices[number].see(view(structure, round_ - 1))
    choices[number].see(view(structure, round_))
    return choices[number]


@pytest.mark.parametrize("number", range(3), ids=["ordered", "random", "global"])
@given(RATIOS, RATIOS, st.integers(0, 99), st.integers(2, 99))
@settings(max_examples=40)
def test_public_orders_nest_by_ratio_and_agree_between_clients(
    structure: Structure, number: int, one: float, other: float, seed: int, round_: int
) -> None:
    less, more = sorted((one, other))
    few = informed(structure, number, seed, round_).keep(less)
    many = informed(structure, number, seed, round_).keep(more)
    assert few is not None
    assert many is not None
    structure.widths(few)  # raises unless ascending, without repeats and within bounds
    assert {group: len(kept) for group, kept in few.items()} == kept_sizes(structure, less)
    assert all(set(few[group]) <= set(many[group]) for group in structure.sizes)


def test_ordered_keeps_the_first(structure: Structure) -> None:
    assert OrderedChoice(structure).keep(0.25)["first"].tolist() == [0, 1, 2, 3, 4]


def test_a_random_order_depends_on_seed_round_and_layer_only() -> None:
    orders = [tuple(shuffled(20, label)) for label in ("0/1/a", "1/1/a", "0/2/a", "0/1/b")]
    assert len(set(orders)) == 4
    assert all(sorted(order) == list(range(20)) for order in orders)


def test_the_random_order_is_pinned() -> None:
    """Golden, made once with hashlib: clients of different versions must agree for ever."""
    assert shuffled(8, "0/3/conv1").tolist() == [2, 3, 1, 7, 4, 5, 6, 0]


def test_random_neurons_are_drawn_uniformly() -> None:
    dropped = np.zeros(10)
    for round_ in range(2000):
        dropped[shuffled(10, f"5/{round_}/x")[:5]] += 1
    assert np.abs(dropped / 2000 - 0.5).max() < 0.06  # five standard deviations


def test_global_evidence_keeps_what_changed_most(structure: Structure) -> None:
    choice, before = GlobalEvidenceChoice(structure), np.ones(structure.size, np.float32)
    after = before.copy()
    structure.named(after)["first.bias"][[3, 11]] += 1.0
    choice.see(RoundView(4, 0, {}, before))
    choice.see(RoundView(5, 0, {}, after))
    keep = choice.keep(0.1)
    assert keep is not None
    assert keep["first"].tolist() == [3, 11]
    assert keep["second"].tolist() == [36, 37, 38, 39]  # all tied: the first indices drop first


@pytest.mark.parametrize("seen", [[5], [3, 5], [5, 5], [2, 3, 5]])
def test_without_the_last_two_models_there_is_no_global_evidence(
    structure: Structure, seen: list[int]
) -> None:
    choice = GlobalEvidenceChoice(structure)
    for round_ in seen:
        choice.see(view(structure, round_))
    assert choice.keep(0.5) is None


def test_another_attempt_at_a_round_keeps_the_evidence(structure: Structure) -> None:
    choice = GlobalEvidenceChoice(structure)
    for round_ in (4, 5, 5):
        choice.see(view(structure, round_))
    assert choice.keep(0.5) is not None


def test_a_round_that_changed_nothing_tells_nothing(structure: Structure) -> None:
    history, same = History(), model(structure, 0)
    history.see(1, same)
    history.see(2, same.copy())
    assert history.change() is None
