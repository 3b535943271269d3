"""The schedule's published values, and exact counts whatever the ties."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.sparsity import Pruner, Schedule, SparsityError, pruned_count, smallest
from learning.structure import Group, Parameter, Structure
from learning.task import TaskSettings
from learning.tasks import load_task

ROUNDED = st.lists(st.integers(0, 4), min_size=1, max_size=200).map(
    lambda values: np.array(values, np.float32)
)


@pytest.mark.parametrize(
    ("round_", "sparsity"), [(1, 0.0), (10, 0.518), (20, 0.822), (30, 0.934), (40, 0.95)]
)
def test_the_schedule_is_the_sources(round_: int, sparsity: float) -> None:
    """FedSparsify's own figures for T = 40, S = .95, n = 3, t0 = 1, F = 1."""
    assert Schedule(0.95, 40).at(round_) == pytest.approx(sparsity, abs=5e-4)


def test_nothing_is_pruned_before_the_start_and_all_of_it_after_the_end() -> None:
    schedule = Schedule(0.9, end=10, start=4)
    assert [schedule.at(round_) for round_ in (0, 3, 4)] == [0, 0, 0]
    assert schedule.at(10) == schedule.at(500) == 0.9


def test_between_two_steps_it_stands_still() -> None:
    schedule = Schedule(0.9, end=12, start=0, every=4)
    found = [schedule.at(round_) for round_ in range(13)]
    assert len(set(found)) == 4
    assert found[4] == found[5] == found[7] < found[8]


@given(
    final=st.floats(0, 0.99),
    start=st.integers(0, 20),
    length=st.integers(1, 60),
    every=st.integers(1, 7),
    exponent=st.floats(0.1, 9),
)
def test_it_never_falls(final: float, start: int, length: int, every: int, exponent: float) -> None:
    schedule = Schedule(final, start + length, start, every, exponent)
    found = [schedule.at(round_) for round_ in range(start + length + every + 3)]
    assert all(0 <= before <= after <= final for before, after in pairwise(found))
    assert found[-1] == pytest.approx(final)


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        ((0.995, 8), "sparsity: must lie in"),
        ((-0.1, 8), "sparsity: must lie in"),
        ((0.9, 1), "sparsity_start: must lie in"),
        ((0.9, 8, 8), "sparsity_start: must lie in"),
        ((0.9, 8, 1, 0), "sparsity_every"),
        ((0.9, 8, 1, 1, 0.0), "sparsity_exponent"),
        ((0.9, 8, 1, 1, float("inf")), "sparsity_exponent"),
    ],
)
def test_what_is_no_schedule_is_refused(asked: tuple[float, ...], rule: str) -> None:
    with pytest.raises(SparsityError, match=rule):
        Schedule(*asked)  # type: ignore[arg-type]


@given(ROUNDED, st.data())
def test_as_many_as_asked_for_are_chosen_the_first_of_equal_ones(
    values: np.ndarray, data: st.DataObject
) -> None:
    count = data.draw(st.integers(0, len(values)))
    expected = np.zeros(len(values), bool)
    expected[np.argsort(values, kind="stable")[:count]] = True
    np.testing.assert_array_equal(smallest(values, count), expected)


@pytest.fixture(scope="module")
def structure() -> Structure:
    return load_task(TaskSettings("digits", clients=2)).structure


def tiny(*sizes: int) -> Structure:
    """One tensor a size."""
    groups = [Group("out", 1, prunable=False)]
    parameters = [Parameter(f"w{i}", (1, size), (None, None)) for i, size in enumerate(sizes)]
    return Structure(groups, parameters, lambda widths: {})


@given(ROUNDED, st.lists(st.floats(0, 0.99), min_size=1, max_size=4))
def test_the_count_is_exact_and_nothing_comes_back(
    model: np.ndarray, sparsities: list[float]
) -> None:
    pruner = Pruner(tiny(model.size))
    kept = np.ones(model.size, bool)
    for sparsity in sorted(sparsities):
        before, kept = kept, pruner.by_magnitude(model, kept, sparsity)
        assert np.count_nonzero(~kept) == pruned_count(model.size, sparsity)
        assert not np.any(kept & ~before)


def test_a_weight_that_is_zero_by_itself_goes_after_those_pruned_before() -> None:
    model, kept = np.array([0, 0, 0, 5], np.float32), np.array([True, False, False, True])
    found = Pruner(tiny(4)).by_magnitude(model, kept, 0.5)
    np.testing.assert_array_equal(found, kept)


def test_one_threshold_goes_through_all_tensors_or_one_through_each() -> None:
    model = np.array([1, 2, 3, 4, 10, 20, 30, 40], np.float32)
    everything = np.ones(8, bool)
    overall = Pruner(tiny(4, 4)).by_magnitude(model, everything, 0.5)
    each = Pruner(tiny(4, 4), per_layer=True).by_magnitude(model, everything, 0.5)
    assert overall.tolist() == [False] * 4 + [True] * 4
    assert each.tolist() == [False, False, True, True] * 2


def test_biases_are_pruned_as_in_the_source_or_exempt(structure: Structure) -> None:
    model = np.random.default_rng(0).random(structure.size, np.float32)
    everything = np.ones(structure.size, bool)
    biases = np.concatenate(
        [np.full(parameter.size, len(parameter.shape) == 1) for parameter in structure.parameters]
    )
    source = Pruner(structure).by_magnitude(model, everything, 0.9)
    exempt = Pruner(structure, biases=False).by_magnitude(model, everything, 0.9)
    assert np.count_nonzero(source) == structure.size - pruned_count(structure.size, 0.9)
    assert not source[biases].all()
    assert exempt[biases].all()
    weights = int(np.count_nonzero(~biases))
    assert np.count_nonzero(exempt[~biases]) == weights - pruned_count(weights, 0.9)
