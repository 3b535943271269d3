"""The description of a model: flat vector, widths, keep sets, counted cost."""

import numpy as np
import pytest

from learning.models import MODELS, femnist_cnn
from learning.structure import Axis, Group, Parameter, Structure, StructureError, kept_sizes

TINY = femnist_cnn(3, (2, 3, 4))
RATIOS_AND_COSTS = [(0.95, 0.883), (0.85, 0.695), (0.75, 0.573), (0.65, 0.414), (0.5, 0.264)]
"""FLuID's keep ratios, and this network's forward cost relative to full, measured elsewhere."""


@pytest.mark.parametrize(("classes", "parameters"), [(62, 410_022), (10, 403_730)])
def test_femnist_cnn_has_the_published_number_of_parameters(classes: int, parameters: int) -> None:
    assert femnist_cnn(classes).structure.size == parameters


def test_forward_cost_is_counted() -> None:
    conv1, conv2 = 28 * 28 * 16 * 25, 14 * 14 * 64 * 16 * 25
    dense = 64 * 49 * 120 + 120 * 62
    assert femnist_cnn(62).structure.forward_macs({}) == conv1 + conv2 + dense == 5_714_960


@pytest.mark.parametrize(("ratio", "relative"), RATIOS_AND_COSTS)
def test_cost_of_a_keep_ratio(ratio: float, relative: float) -> None:
    structure = femnist_cnn(62).structure
    cost = structure.forward_macs(kept_sizes(structure, ratio))
    assert cost / structure.forward_macs({}) == pytest.approx(relative, abs=6e-4)


@pytest.mark.parametrize("name", MODELS)
def test_description_matches_the_module(name: str) -> None:
    model = MODELS[name](7)
    module = model.build(model.structure.sizes)
    described = [(p.name, p.shape) for p in model.structure.parameters]
    assert described == [(n, tuple(p.shape)) for n, p in module.named_parameters()]


def test_output_and_input_are_never_prunable() -> None:
    assert list(TINY.structure.sizes) == ["conv1", "conv2", "dense1"]
    assert TINY.structure.parameters[0].axes[1] is None


def test_named_tensors_are_views_and_flatten_is_their_inverse() -> None:
    vector = TINY.initial_vector(0)
    tensors = TINY.structure.named(vector)
    assert all(np.shares_memory(tensor, vector) for tensor in tensors.values())
    assert np.array_equal(TINY.structure.flatten(tensors), vector)


def test_initial_vector_follows_from_the_seed_and_leaves_torch_alone() -> None:
    import torch

    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, same, other = (TINY.initial_vector(seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("ratio", "sizes"),
    [
        (1.0, {"conv1": 16, "conv2": 64, "dense1": 120}),
        (0.95, {"conv1": 15, "conv2": 60, "dense1": 114}),
        (0.5, {"conv1": 8, "conv2": 32, "dense1": 60}),
        (0.01, {"conv1": 1, "conv2": 1, "dense1": 1}),
    ],
)
def test_kept_sizes_follow_fluid(ratio: float, sizes: dict[str, int]) -> None:
    assert kept_sizes(femnist_cnn(62).structure, ratio) == sizes


@pytest.mark.parametrize("ratio", [0.0, -0.1, 1.01, float("nan")])
def test_illegal_keep_ratios(ratio: float) -> None:
    with pytest.raises(StructureError, match="keep ratio"):
        kept_sizes(TINY.structure, ratio)


@pytest.mark.parametrize(
    ("group", "kept", "rule"),
    [
        ("output", [0], "no prunable group"),
        ("nowhere", [0], "no prunable group"),
        ("conv2", [], "at least one"),
        ("conv2", [1, 0], "ascending"),
        ("conv2", [1, 1], "ascending"),
        ("conv2", [-1, 0], "below 3"),
        ("conv2", [0, 3], "below 3"),
        ("conv2", [[0, 1]], "ascending"),
    ],
)
def test_illegal_keep_sets(group: str, kept: list[int], rule: str) -> None:
    with pytest.raises(StructureError, match=rule):
        TINY.structure.widths({group: np.array(kept, np.intp)})


@pytest.mark.parametrize("widths", [{"output": 1}, {"conv1": 0}, {"conv1": 3}, {"nowhere": 1}])
def test_illegal_widths(widths: dict[str, int]) -> None:
    with pytest.raises(StructureError, match="no such prunable group"):
        TINY.structure.forward_macs(widths)


@pytest.mark.parametrize("vector", [np.zeros(3, np.float32), np.zeros(TINY.structure.size)])
def test_illegal_vectors(vector: np.ndarray) -> None:
    with pytest.raises(StructureError, match="expected float32"):
        TINY.structure.named(vector)


def test_flatten_names_what_does_not_fit() -> None:
    tensors = TINY.structure.named(TINY.initial_vector(0))
    with pytest.raises(StructureError, match=r"conv1\.bias"):
        TINY.structure.flatten({**tensors, "conv1.bias": np.zeros(9, np.float32)})


@pytest.mark.parametrize(
    ("axes", "rule"),
    [
        ((), "one axis description"),
        ((Axis("b", np.arange(2)),), "unknown group"),
        ((Axis("a", np.array([0, 0])),), "not every neuron"),
        ((Axis("a", np.array([0, 1, 1])),), "does not fit"),
    ],
)
def test_illegal_descriptions(axes: tuple[Axis, ...], rule: str) -> None:
    with pytest.raises(StructureError, match=rule):
        Structure([Group("a", 2)], [Parameter("w", (2,), axes)], lambda widths: {})


def test_cost_is_counted_once_for_each_width() -> None:
    asked: list[dict[str, int]] = []

    def count(widths: object) -> dict[str, int]:
        asked.append(dict(widths))  # type: ignore[call-overload]
        return {"w": 7}

    axis = Axis("a", np.arange(2))
    structure = Structure([Group("a", 2)], [Parameter("w", (2,), (axis,))], count)
    assert [structure.forward_macs(w) for w in ({}, {"a": 2}, {"a": 1}, {})] == [7, 7, 7, 7]
    assert asked == [{"a": 2}, {"a": 1}]
