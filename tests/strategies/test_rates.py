import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.structure import Structure, kept_sizes
from strategies.rates import (
    FitCurve,
    FitCurveError,
    Rate,
    compute_aware,
    grid,
    network_aware,
)
from strategies.times import Standing, Times

SQUARE = grid(0.25, 0.01, lambda ratio: ratio * ratio)
POSITIVE = st.floats(1e-3, 1e3)


@given(st.floats(0, 10), st.floats(1e-9, 1e-3), st.lists(st.integers(10, 10**6), min_size=2))
@settings(max_examples=100)
def test_a_curve_fits_exact_figures_exactly(fixed: float, slope: float, macs: list[int]) -> None:
    spread = [10, *macs, 2 * 10**6]
    curve = FitCurve.fitted([(size, fixed + slope * size) for size in spread])
    assert curve.s_per_mac == pytest.approx(slope, rel=1e-6)
    assert curve.fixed_s == pytest.approx(fixed, rel=1e-6, abs=1e-6 * slope * 10**6)


@given(st.lists(st.tuples(POSITIVE, POSITIVE), min_size=1, max_size=8))
@settings(max_examples=200)
def test_a_fitted_curve_is_never_negative_and_never_beaten_by_a_simple_one(
    probes: list[tuple[float, float]],
) -> None:
    def error(curve: FitCurve) -> float:
        return sum((curve.seconds(macs) - seconds) ** 2 for macs, seconds in probes)

    curve = FitCurve.fitted(probes)
    mean = sum(seconds for _, seconds in probes) / len(probes)
    slope = sum(m * s for m, s in probes) / sum(m * m for m, _ in probes)
    assert curve.fixed_s >= 0
    assert curve.s_per_mac >= 0
    if len({macs for macs, _ in probes}) > 1:
        least = min(error(FitCurve(mean, 0.0)), error(FitCurve(0.0, slope)))
        assert error(curve) <= least * (1 + 1e-6) + 1e-6


def test_probes_of_one_size_are_put_down_to_the_macs() -> None:
    assert FitCurve.fitted([(100, 2.0), (100, 4.0)]) == FitCurve(0.0, 0.03)


def test_a_falling_line_is_all_fixed_and_a_line_from_below_has_nothing_fixed() -> None:
    assert FitCurve.fitted([(1, 3.0), (2, 1.0)]) == FitCurve(2.0, 0.0)
    assert FitCurve.fitted([(1, 0.1), (2, 10.0)]).fixed_s == 0.0


@pytest.mark.parametrize(
    "probes", [[], [(0, 1)], [(1, 0)], [(1, -1)], [(1, math.nan)], [(math.inf, 1)]]
)
def test_illegal_probes_are_refused(probes: list[tuple[float, float]]) -> None:
    with pytest.raises(FitCurveError):
        FitCurve.fitted(probes)


@pytest.mark.parametrize("figures", [(0, 0), (-1, 1), (1, -1), (math.nan, 1), (1, math.inf)])
def test_an_illegal_curve_is_refused(figures: tuple[float, float]) -> None:
    with pytest.raises(FitCurveError):
        FitCurve(*figures)


@pytest.mark.parametrize(
    ("min_keep", "step", "expected"),
    [
        (1.0, 0.01, [1.0]),
        (0.5, 0.25, [1.0, 0.75, 0.5]),
        (0.4, 0.25, [1.0, 0.75, 0.5, 0.4]),
        (0.25, 1.0, [1.0, 0.25]),
    ],
)
def test_the_grid_descends_from_one_to_the_bound_itself(
    min_keep: float, step: float, expected: list[float]
) -> None:
    assert [rate.keep_ratio for rate in grid(min_keep, step, lambda ratio: ratio)] == expected
    assert len(grid(0.25, 0.01, lambda ratio: ratio)) == 76


def test_cost_is_that_of_the_real_sub_model_and_not_the_ratio(
    structure: Structure, curve: FitCurve
) -> None:
    half = structure.forward_macs(kept_sizes(structure, 0.5))
    relative = curve.relative(half, structure.forward_macs({}))
    assert relative == pytest.approx(0.1 + 0.9 * (60 + 200 + 60) / (120 + 800 + 120))
    assert relative < 0.5


@given(POSITIVE, POSITIVE, POSITIVE, POSITIVE)
@settings(max_examples=200)
def test_each_rule_chooses_the_largest_ratio_that_meets_its_target(
    fit_s: float, network_s: float, target_total_s: float, target_fit_s: float
) -> None:
    own, known = Times(fit_s, network_s), Standing(True, target_total_s, target_fit_s)
    for rule, target_s, rest_s in (
        (compute_aware, target_fit_s, 0.0),
        (network_aware, target_total_s, network_s),
    ):
        choice = rule(SQUARE, own, known)
        good = [rate for rate in SQUARE if rate.relative_cost * fit_s + rest_s <= target_s]
        assert choice.rate == (good[0] if good else SQUARE[-1])
        assert choice.target_s == target_s
        assert choice.predicted_s == choice.rate.relative_cost * fit_s + rest_s


def test_a_network_slower_than_the_target_is_reported() -> None:
    choice = network_aware(SQUARE, Times(5.0, 12.0), Standing(True, 10.0, 4.0))
    assert choice.rate.keep_ratio == 0.25
    assert "network alone" in choice.reason


def test_a_target_below_the_bound_is_reported() -> None:
    choice = compute_aware(SQUARE, Times(100.0, 1.0), Standing(True, 10.0, 4.0))
    assert choice.rate.keep_ratio == 0.25
    assert "as far as allowed" in choice.reason


def test_no_neuron_is_dropped_where_dropping_saves_nothing() -> None:
    flat = grid(0.25, 0.01, lambda ratio: 1.0)
    steps = [Rate(1.0, 1.0), Rate(0.75, 0.6), Rate(0.5, 0.6)]
    known = Standing(True, 10.0, 4.0)
    assert compute_aware(flat, Times(100.0, 1.0), known).rate.keep_ratio == 1.0
    assert compute_aware(steps, Times(100.0, 1.0), known).rate.keep_ratio == 0.75
