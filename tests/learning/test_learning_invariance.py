"""Scores of hidden neurons against a loop over single weights."""

import numpy as np
import pytest

from learning.invariance import EPSILON, scores
from learning.models import femnist_cnn
from learning.structure import Keep, StructureError, Vector
from learning.submodel import SubModel

MODEL = femnist_cnn(3, (2, 3, 4))
STRUCTURE = MODEL.structure


def reference(before: Vector, update: Vector, keep: Keep) -> dict[str, list[float]]:
    """Largest relative change by neuron, one coordinate at a time."""
    mask = SubModel(STRUCTURE, keep).mask
    best = {group: [float("nan")] * size for group, size in STRUCTURE.sizes.items()}
    start = 0
    for parameter in STRUCTURE.parameters:
        for offset, place in enumerate(np.ndindex(*parameter.shape)):
            old, new = before[start + offset], update[start + offset]
            if not mask[start + offset] or (old == 0 and new == 0):
                continue
            change = float(abs(new) / (abs(old) + np.float32(EPSILON)))
            for number, axis in STRUCTURE.prunable_axes(parameter):
                neuron = axis.neurons[place[number]]
                best[axis.group][neuron] = float(np.fmax(best[axis.group][neuron], change))
        start += parameter.size
    return best


@pytest.mark.parametrize(
    "keep",
    [{}, {"conv2": np.array([0, 2])}, {"conv1": np.array([1]), "dense1": np.array([0, 1, 3])}],
    ids=["full", "one layer", "two layers"],
)
def test_scores_are_the_largest_relative_changes(keep: Keep) -> None:
    generator = np.random.default_rng(7)
    before = MODEL.initial_vector(0)
    before[generator.random(before.size) < 0.3] = 0
    update = (generator.normal(size=before.size) * 0.01).astype(np.float32)
    update[generator.random(before.size) < 0.5] = 0
    result = scores(STRUCTURE, before, update, keep)
    for group, expected in reference(before, update, keep).items():
        assert result[group].dtype == np.float32
        np.testing.assert_array_equal(result[group], np.array(expected, np.float32))


def test_what_was_left_out_has_no_evidence() -> None:
    keep = {"dense1": np.array([1, 2])}
    ones = np.ones(STRUCTURE.size, np.float32)
    result = scores(STRUCTURE, ones, ones, keep)
    assert np.isnan(result["dense1"]).tolist() == [True, False, False, True]
    assert not np.isnan(result["conv1"]).any()


def test_a_neuron_that_is_zero_throughout_has_no_evidence() -> None:
    zeros = np.zeros(STRUCTURE.size, np.float32)
    assert all(np.isnan(values).all() for values in scores(STRUCTURE, zeros, zeros).values())


def test_an_unchanged_neuron_scores_zero() -> None:
    vector = MODEL.initial_vector(0)
    for values in scores(STRUCTURE, vector, np.zeros_like(vector)).values():
        assert not values.any()


def test_vectors_must_fit() -> None:
    with pytest.raises(StructureError, match="expected float32"):
        scores(STRUCTURE, MODEL.initial_vector(0), np.zeros(3, np.float32))
