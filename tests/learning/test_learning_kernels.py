"""What zeros save: the curves' arithmetic, where it applies, and curves that are none."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.kernels import (
    BACKWARD_AND_FORWARD,
    DENSE_KERNELS,
    Curve,
    Kernels,
    KernelsError,
    kinds_of,
    zeros_of,
)
from learning.models import femnist_cnn
from learning.selection import Kept
from learning.structure import Keep
from learning.submodel import SubModel

STRUCTURE = femnist_cnn(10, (2, 4, 6)).structure
KEEP: Keep = {"conv1": np.array([1]), "dense1": np.array([0, 2, 5])}
FASTER = Curve((0.0, 0.5, 0.9), (3.0, 1.0, 0.2))


def survivors(share: float, seed: int = 0) -> Kept:
    return np.random.default_rng(seed).random(STRUCTURE.size) < share


@pytest.mark.parametrize(
    ("zeros", "relative"),
    [(0.0, 1.0), (0.4, 1.0), (0.5, 1.0), (0.7, 0.6), (0.9, 0.2), (1.0, 0.2)],
)
def test_a_curve_is_linear_between_its_points_level_after_them_and_never_slower_than_dense(
    zeros: float, relative: float
) -> None:
    assert FASTER.at(zeros) == pytest.approx(relative)


@pytest.mark.parametrize("keep", [{}, KEEP])
def test_dense_kernels_and_models_without_a_pattern_cost_what_they_did(keep: Keep) -> None:
    full = STRUCTURE.forward_macs(STRUCTURE.widths(keep))
    assert DENSE_KERNELS.macs(STRUCTURE, keep, survivors(0.1)) == full
    faster = Kernels({"dense": FASTER, "convolution": FASTER}, "training")
    assert faster.macs(STRUCTURE, keep, None) == full
    assert faster.macs(STRUCTURE, keep, survivors(1.1)) == full


def test_only_layers_of_the_kind_save_and_a_curve_of_inference_saves_forward_alone() -> None:
    kept = np.ones(STRUCTURE.size, np.bool_)
    start = 0
    for parameter in STRUCTURE.parameters:
        if parameter.kind == "dense":
            kept[start : start + parameter.size * 9 // 10] = False
        start += parameter.size
    macs = STRUCTURE.macs(STRUCTURE.sizes)
    dense = macs["dense1.weight"] + macs["output.weight"]
    full = STRUCTURE.forward_macs({})
    in_all = Kernels({"dense": FASTER}, "training").macs(STRUCTURE, {}, kept)
    assert in_all == pytest.approx(full - 0.8 * dense, rel=1e-3)
    forward = Kernels({"dense": FASTER}).macs(STRUCTURE, {}, kept)
    assert full - forward == pytest.approx((full - in_all) / BACKWARD_AND_FORWARD)
    assert Kernels({"convolution": FASTER}).macs(STRUCTURE, {}, kept) == full


@given(share=st.floats(0, 1), seed=st.integers(0, 99), pruned=st.booleans())
def test_work_lies_between_the_best_of_the_curve_and_dense(
    share: float, seed: int, pruned: bool
) -> None:
    """Zeros are counted among the neurons that are trained."""
    keep, kept = KEEP if pruned else {}, survivors(share, seed)
    full = STRUCTURE.forward_macs(STRUCTURE.widths(keep))
    kernels = Kernels({"dense": FASTER, "convolution": FASTER}, "training")
    macs = kernels.macs(STRUCTURE, keep, kept)
    assert 0.2 * full <= macs * (1 + 1e-12)
    assert macs <= full
    mask = SubModel(STRUCTURE, keep).mask
    assert macs == kernels.macs(STRUCTURE, keep, kept & mask)  # others' zeros change nothing
    zeros = zeros_of(STRUCTURE, kept)
    found = sum(zeros[p.name] * p.size for p in STRUCTURE.parameters)
    assert found == pytest.approx(STRUCTURE.size - np.count_nonzero(kept))


GOOD: Any = {"passes": "forward", "layers": {"dense": {"zeros": [0, 0.9], "relative_time": [2, 1]}}}


def test_curves_are_taken_from_plain_values() -> None:
    told = Kernels.from_mapping(GOOD)
    assert told == Kernels({"dense": Curve((0.0, 0.9), (2.0, 1.0))}, "forward")
    assert Kernels.from_mapping({}) == DENSE_KERNELS
    assert kinds_of(STRUCTURE) == {"dense", "convolution"}


def changed(**curve: object) -> Any:  # noqa: ANN401
    return GOOD | {"layers": {"dense": GOOD["layers"]["dense"] | curve}}


@pytest.mark.parametrize(
    ("told", "rule"),
    [
        ({"passes": "forward"}, "kernels have layers, and passes"),
        (GOOD | {"passes": "backward"}, "one of forward, training"),
        (GOOD | {"more": 1}, "kernels have layers"),
        (GOOD | {"layers": {}}, "layers are of the kinds dense"),
        (GOOD | {"layers": {"attention": {}}}, "layers are of the kinds dense"),
        (GOOD | {"layers": {"dense": {"zeros": [0, 1]}}}, "has zeros and relative_time"),
        (changed(zeros="01"), "are lists of numbers"),
        (changed(zeros=[False, True]), "are lists of numbers"),
        (changed(zeros=[0.0]), "2 to 1000 shares"),
        (changed(zeros=[0.1, 0.9]), "ascend from 0"),
        (changed(zeros=[0, 1.1]), "ascend from 0"),
        (changed(zeros=[0, 0]), "ascend from 0"),
        (changed(zeros=[0, float("nan")]), "ascend from 0"),
        (changed(relative_time=[0.9, 0.5]), "at least 1 without zeros"),
        (changed(relative_time=[1, 0]), "above 0"),
        (changed(relative_time=[1, float("inf")]), "above 0"),
    ],
)
def test_what_are_no_curves_is_refused(told: Any, rule: str) -> None:  # noqa: ANN401
    with pytest.raises(KernelsError, match=rule):
        Kernels.from_mapping(told)
