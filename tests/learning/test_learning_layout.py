"""The coordinate-wise mean against a client-by-client reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from learning.layout import Counts, Divisor, VectorLayout
from learning.models import femnist_cnn
from learning.structure import Axis, Group, Keep, Parameter, Structure, StructureError
from learning.submodel import SubModel

CNN = femnist_cnn(3, (2, 3, 4)).structure


def lstm(units: int = 4, inputs: int = 3, classes: int = 2) -> Structure:
    """Two recurrent layers and an output: four gates a unit, recurrent weights within a group."""
    groups = [Group("one", units), Group("two", units), Group("output", classes, prunable=False)]
    gates = np.tile(np.arange(units), 4)
    plain = np.arange(units)
    one, two = Axis("one", gates), Axis("two", gates)
    parameters = [
        Parameter("one.input", (4 * units, inputs), (one, None)),
        Parameter("one.recurrent", (4 * units, units), (one, Axis("one", plain))),
        Parameter("one.bias", (4 * units,), (one,)),
        Parameter("two.input", (4 * units, units), (two, Axis("one", plain))),
        Parameter("two.recurrent", (4 * units, units), (two, Axis("two", plain))),
        Parameter(
            "out", (classes, units), (Axis("output", np.arange(classes)), Axis("two", plain))
        ),
        Parameter("out.bias", (classes,), (Axis("output", np.arange(classes)),)),
    ]
    return Structure(groups, parameters, lambda widths: {})


LSTM = lstm()
Fleet = list[tuple[Keep, int, NDArray[np.float32]]]


def fleet(structure: Structure, clients: int, seed: int, nested: bool) -> Fleet:
    """Clients with random keep sets, weights, and updates that are zero where pruned."""
    generator = np.random.default_rng(seed)
    orders = {group: generator.permutation(size) for group, size in structure.sizes.items()}
    members: Fleet = []
    for _ in range(clients):
        ratio = generator.uniform(0.05, 1.0)
        keep: dict[str, NDArray[np.intp]] = {}
        for group, size in structure.sizes.items():
            order = orders[group] if nested else generator.permutation(size)
            keep[group] = np.sort(order[: max(1, int(ratio * size))])
        if generator.random() < 0.3:
            keep = {}
        update = generator.normal(size=structure.size).astype(np.float32)
        update[~SubModel(structure, keep).mask] = 0
        members.append((keep, int(generator.integers(1, 500)), update))
    return members


def reference(structure: Structure, members: Fleet) -> NDArray[np.float64]:
    above, below = np.zeros(structure.size), np.zeros(structure.size)
    for keep, examples, update in members:
        above += examples * update.astype(np.float64)
        below += examples * SubModel(structure, keep).mask
    return np.divide(above, below, out=np.zeros(structure.size), where=below > 0)


def sums(layout: VectorLayout, members: Fleet) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    above = np.zeros(layout.structure.size)
    counts = np.zeros(layout.length, np.int64)
    for keep, examples, update in members:
        above += examples * update.astype(np.float64)
        counts += layout.weights(keep, examples)
    return above, counts


@pytest.mark.parametrize("structure", [CNN, LSTM], ids=["cnn", "lstm"])
@pytest.mark.parametrize("counts", ["pair", "neuron"])
@settings(max_examples=30)
@given(clients=st.integers(0, 5), seed=st.integers(0, 2**32 - 1))
def test_mean_is_exact(structure: Structure, counts: Counts, clients: int, seed: int) -> None:
    """`pair` for any keep sets, `neuron` for nested ones; with no client, nothing moves."""
    members = fleet(structure, clients, seed, nested=counts == "neuron")
    layout = VectorLayout(structure, counts)
    mean = layout.mean(*sums(layout, members))
    np.testing.assert_allclose(mean, reference(structure, members), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("counts", ["total", "neuron", "pair"])
def test_without_pruning_every_layout_is_the_weighted_mean(counts: Counts) -> None:
    members: Fleet = [({}, weight, update) for _, weight, update in fleet(CNN, 4, 1, nested=False)]
    layout = VectorLayout(CNN, counts)
    above, below = sums(layout, members)
    expected = above / sum(weight for _, weight, _ in members)
    np.testing.assert_allclose(layout.mean(above, below), expected, rtol=1e-6)


def test_an_absent_client_leaves_the_others_mean() -> None:
    """Its update and its counts are lost together: the rest is as if it had never been there."""
    members = fleet(CNN, 5, 8, nested=False)
    layout = VectorLayout(CNN, "pair")
    mean = layout.mean(*sums(layout, members[1:]))
    np.testing.assert_allclose(mean, reference(CNN, members[1:]), rtol=1e-6, atol=1e-7)


def test_dividing_by_all_shrinks_what_only_some_trained() -> None:
    half: Keep = {"dense1": np.array([0, 1], np.intp)}
    members = [(half, 100, np.ones(CNN.size, np.float32)), ({}, 300, np.ones(CNN.size, np.float32))]
    members[0][2][~SubModel(CNN, half).mask] = 0
    layout = VectorLayout(CNN, "neuron")
    above, below = sums(layout, members)
    bias = CNN.named(layout.mean(above, below, "participation"))["dense1.bias"]
    naive = CNN.named(layout.mean(above, below, "all"))["dense1.bias"]
    assert bias.tolist() == [1.0, 1.0, 1.0, 1.0]
    assert naive.tolist() == [1.0, 1.0, 0.75, 0.75]


@pytest.mark.parametrize("divisor", ["participation", "all"])
def test_what_nobody_trained_stays_whatever_was_sent(divisor: Divisor) -> None:
    layout = VectorLayout(CNN, "neuron")
    counts = layout.weights({"dense1": np.array([0], np.intp)}, 10)
    bias = CNN.named(layout.mean(np.full(CNN.size, 20.0), counts, divisor))["dense1.bias"]
    assert bias.tolist() == [2.0, 0.0, 0.0, 0.0]


def test_neuron_counts_are_wrong_for_sets_that_are_not_nested() -> None:
    """Why `pair` exists: dense1's weight (0, 0) is trained by nobody, yet both neurons are."""
    apart: list[Keep] = [
        {"conv2": np.array([0], np.intp), "dense1": np.array([1], np.intp)},
        {"conv2": np.array([1], np.intp), "dense1": np.array([0], np.intp)},
    ]
    for counts, expected in (("neuron", 10), ("pair", 0)):
        layout = VectorLayout(CNN, counts)  # type: ignore[arg-type]
        summed = sum(layout.weights(keep, 10) for keep in apart)
        divisors = layout.divisors(np.asarray(summed)).astype(np.float32)
        assert CNN.named(divisors)["dense1.weight"][0, 0] == expected


def test_lengths() -> None:
    structure = femnist_cnn(62).structure
    hidden = 16 + 64 + 120
    pairs = 16 * 64 + 64 * 120
    lengths = [VectorLayout(structure, counts).length for counts in ("total", "neuron", "pair")]
    assert lengths == [1, 1 + hidden, 1 + hidden + pairs]


@pytest.mark.parametrize(
    "counts",
    [np.zeros(3, np.int64), np.array([5] + [6] * 9), np.array([5] + [-1] * 9)],
    ids=["length", "more than the total", "negative"],
)
def test_illegal_counts(counts: NDArray[np.int64]) -> None:
    layout = VectorLayout(CNN, "neuron")
    with pytest.raises(StructureError, match="between 0 and the total"):
        layout.mean(np.zeros(CNN.size), counts)


def test_illegal_calls() -> None:
    layout = VectorLayout(CNN, "total")
    with pytest.raises(StructureError, match="counts must be"):
        VectorLayout(CNN, "some")  # type: ignore[arg-type]
    with pytest.raises(StructureError, match="cannot be negative"):
        layout.weights({}, -1)
    with pytest.raises(StructureError, match="prunable"):
        layout.weights({"output": np.array([0], np.intp)}, 1)
    with pytest.raises(StructureError, match="expected"):
        layout.mean(np.zeros(3), layout.weights({}, 1))
