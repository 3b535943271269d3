"""Membership inference as arithmetic: areas by hand and by scikit-learn, DeLong's variance by hand
and by SciPy, intervals that cover, and attacks that find what is
there and nothing where nothing is."""

from statistics import NormalDist

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import brunnermunzel
from sklearn.metrics import roc_auc_score

from learning.examples import Images
from learning.membership.classifier import fit
from learning.membership.figures import (
    Estimate,
    FiguresError,
    Scores,
    auc,
    auc_difference,
    auc_estimate,
    balanced_accuracy,
    threshold,
    tpr_at,
    widened,
)
from learning.membership.folds import TOGETHER, attack_accuracy, cross_fitted, split
from learning.membership.signals import (
    Subject,
    calibrated,
    confidences,
    gradient_signals,
    losses,
)
from learning.models import mlp
from learning.objective import Classification, Regression
from learning.structure import Vector

Values = NDArray[np.float64]
NORMAL = NormalDist()


def of(members: list[float], others: list[float]) -> Scores:
    return Scores(np.array(members, np.float64), np.array(others, np.float64))


@pytest.mark.parametrize(
    ("members", "others", "expected"),
    [
        ([3, 4], [1, 2], 1.0),
        ([1, 2], [3, 4], 0.0),
        ([1, 1], [1, 1], 0.5),
        ([1, 3], [2, 2], 0.5),
        ([2, 3], [1, 2], (1 + 0.5 + 1 + 1) / 4),  # one tie
        ([5, 1, 3], [2, 4], 3 / 6),
    ],
)
def test_areas_by_hand(members: list[float], others: list[float], expected: float) -> None:
    assert auc(of(members, others)) == pytest.approx(expected)


def test_bad_scores_are_refused() -> None:
    with pytest.raises(FiguresError, match="others: at least 2"):
        of([1, 2], [1])
    with pytest.raises(FiguresError, match="members: scores must be finite"):
        of([1, np.nan], [1, 2])
    with pytest.raises(FiguresError, match="two scores of each example"):
        auc_difference(of([1, 2], [1, 2]), of([1, 2, 3], [1, 2]))


FEW = st.lists(st.integers(-3, 3).map(float), min_size=2, max_size=12)


@settings(max_examples=50)
@given(members=FEW, others=FEW)
def test_the_area_is_scikit_learns_and_turns_with_the_scores(
    members: list[float], others: list[float]
) -> None:
    scores = of(members, others)
    labels = [1] * len(members) + [0] * len(others)
    assert auc(scores) == pytest.approx(roc_auc_score(labels, members + others))
    assert auc(of(others, members)) == pytest.approx(1 - auc(scores))
    found = auc_estimate(scores)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert auc_difference(scores, scores).value == 0


def test_delongs_variance_by_hand() -> None:
    """Placements (1/2, 1) and (1, 1/2), each of variance 1/8, each mean of two: 1/8 in all."""
    scores = of([2, 4], [1, 3])
    found, spread = auc_estimate(scores), 0.125**0.5
    assert found.value == 0.75
    logit = np.log(found.high / (1 - found.high)) - np.log(3)
    assert logit == pytest.approx(1.959964 * spread / (0.75 * 0.25), rel=1e-6)
    less = auc_difference(scores, of([0, 0], [0, 0]))
    assert (less.value, less.high) == pytest.approx((0.25, 0.25 + 1.959964 * spread), rel=1e-6)


def test_delongs_interval_is_the_statistic_of_brunner_and_munzel() -> None:
    """SciPy as an oracle: their statistic is (AUC - 1/2) over DeLong's standard deviation."""
    drawn = np.random.default_rng(3)
    members, others = drawn.integers(0, 9, 60) + 1, drawn.integers(0, 9, 45)
    scores = Scores(members.astype(np.float64), others.astype(np.float64))
    spread = (auc(scores) - 0.5) / brunnermunzel(scores.others, scores.members).statistic
    found = auc_estimate(scores)
    width = np.log(found.high / (1 - found.high)) - np.log(found.low / (1 - found.low))
    assert width == pytest.approx(2 * 1.959964 * spread / (found.value * (1 - found.value)))


def test_an_area_of_one_has_an_interval() -> None:
    found = auc_estimate(of([3, 4, 5], [1, 2]))
    assert found.value == 1
    assert found.low == pytest.approx(0.025**0.5)


def test_intervals_cover_what_they_should() -> None:
    """Normal scores a distance apart; 200 draws: 95 % of 200 less three standard deviations is
    180.8."""
    apart, drawn = 0.8, np.random.default_rng(5)
    true_auc = NORMAL.cdf(apart / 2**0.5)
    true_tpr = 1 - NORMAL.cdf(NORMAL.inv_cdf(0.95) - apart)
    true_accuracy = NORMAL.cdf(apart / 2)
    covered = np.zeros(4, np.int64)
    for _ in range(200):
        scores = Scores(drawn.normal(apart, 1, 80), drawn.normal(0, 1, 100))
        noisy = Scores(
            scores.members + drawn.normal(0, 0.5, 80), scores.others + drawn.normal(0, 0.5, 100)
        )
        less = NORMAL.cdf(apart / 2.5**0.5) - true_auc
        right = (
            (scores.members > apart / 2).astype(float),
            (scores.others <= apart / 2).astype(float),
        )
        checks = (
            (auc_estimate(scores), true_auc),
            (auc_difference(noisy, scores), less),
            (balanced_accuracy(*right), true_accuracy),
            (tpr_at(scores, 0.05, 0), true_tpr),
        )
        for index, (found, true) in enumerate(checks):
            assert found is not None
            covered[index] += found.low <= true <= found.high
    assert (covered[:3] > 180).all(), covered
    assert covered[3] > 170, covered  # a bootstrap of the fifth largest of 100


def test_true_positives_at_few_false_ones_by_hand() -> None:
    others = [float(value) for value in range(100)]
    found = tpr_at(of([98.5, 94.5, 94, 200], others), 0.05, 0)
    assert found is not None
    assert found.value == 3 / 4  # above 94, which all but five of the others do not exceed
    assert found.low < found.value <= found.high
    assert tpr_at(of([1, 2], others), 0.009, 0) is None
    assert tpr_at(of([1, 2, 3], others), 0.05, 7) == tpr_at(of([1, 2, 3], others), 0.05, 7)


def test_thresholds_by_hand() -> None:
    assert threshold(of([3, 4], [1, 2])) == 2.5
    assert threshold(of([1, 1], [1, 1])) == 0.0  # nothing to be told: all are members
    assert threshold(of([1, 5, 6], [0, 2, 3])) == 4.0


def test_a_threshold_is_judged_on_examples_that_it_was_not_chosen_on() -> None:
    drawn = np.random.default_rng(1)
    same = Scores(drawn.normal(size=300), drawn.normal(size=300))
    folds = split(300, 300, 0)
    found = attack_accuracy(same, folds)
    assert found.low < 0.5 < found.high
    apart = Scores(same.members + 8, same.others)
    assert attack_accuracy(apart, folds).value == 1.0
    assert (folds.members[0] ^ folds.members[1]).all()
    assert folds.members[0].sum() == 150


def test_the_attack_model_learns_and_finds_nothing_in_noise() -> None:
    drawn = np.random.default_rng(2)
    members, others = drawn.normal(size=(400, 20)), drawn.normal(size=(400, 20))
    folds = split(400, 400, 0)
    nothing = auc_estimate(cross_fitted(members, others, folds, fit))
    assert nothing.low < 0.5 < nothing.high
    members[:, 3] += 1.0
    members[:, 9], others[:, 9] = 4.0, 4.0  # a constant column and an outlier do no harm
    others[0, 11] = 1e30
    found = auc_estimate(cross_fitted(members, others, folds, fit))
    assert found.low < NORMAL.cdf(2**-0.5) < found.high


def test_intervals_of_what_was_learnt_cover_nothing_too() -> None:
    """100 draws: 95 less three standard deviations is 88.5."""
    drawn, covered = np.random.default_rng(6), 0
    for seed in range(100):
        members, others = drawn.normal(size=(100, 6)), drawn.normal(size=(100, 6))
        found = auc_estimate(cross_fitted(members, others, split(100, 100, seed), fit))
        wide = widened(found, TOGETHER)
        covered += wide.low <= 0.5 <= wide.high
    assert covered >= 89


def test_widening_by_hand() -> None:
    assert widened(Estimate(0.5, 0.25, 0.75), 1.5) == Estimate(0.5, 0.125, 0.875)
    assert widened(Estimate(0.75, 0.25, 1.0), 2.0) == Estimate(0.75, 0.0, 1.0)
    assert widened(Estimate(0.0, -0.25, 0.5), 2.0, -1.0) == Estimate(0.0, -0.5, 1.0)


def _images(count: int, seed: int, classes: int) -> Images:
    drawn = np.random.default_rng(seed)
    pixels = drawn.normal(size=(count, 28, 28)).astype(np.float32)
    return Images(pixels, drawn.integers(0, classes, count), 0.0, 1.0)


def test_signals_are_those_of_the_gradient() -> None:
    model, examples = mlp(4, (6, 5)), _images(8, 3, 4)
    vector = model.initial_vector(1)
    vector[100:140] = 0  # pruned: their gradients are no part of the training
    subject = Subject(model, Classification(4), vector, examples)
    indices = np.array([5, 2])
    names = [parameter.name for parameter in model.structure.parameters]
    update = np.random.default_rng(4).normal(size=vector.size).astype(np.float32)
    rows = gradient_signals(subject, indices, update)
    assert rows.shape == (2, 2 * (len(names) + 1) + 3)
    gradient = _gradient(subject, 5)
    assert np.exp(rows[0, len(names)]) == pytest.approx(np.linalg.norm(gradient), rel=1e-5)
    lengths = np.linalg.norm(gradient) * np.linalg.norm(update)
    assert rows[0, -1] == pytest.approx(-(gradient @ update) / lengths, abs=1e-5)
    biases = model.structure.named(gradient)["output.bias"]
    assert np.exp(rows[0, len(names) + 1]) == pytest.approx(np.abs(biases).max(), rel=1e-5)
    found = losses(subject, indices)
    chance = np.exp(-found)
    assert confidences(subject, indices) == pytest.approx(np.log(chance / (1 - chance)), rel=1e-5)


def _gradient(subject: Subject, index: int) -> Vector:
    structure = subject.model.structure
    module = subject.model.module(structure.sizes, structure.named(subject.vector.copy()))
    inputs, targets = subject.examples.batch(np.array([index]))
    torch.nn.functional.cross_entropy(module(inputs), targets).backward()  # type: ignore[no-untyped-call]
    found = {n: p.grad.numpy() for n, p in module.named_parameters()}  # type: ignore[union-attr]
    return np.where(subject.vector != 0, structure.flatten(found), np.float32(0))


def test_estimates_have_a_confidence_too() -> None:
    model, examples = mlp(1, (4, 4)), _images(5, 6, 1)
    subject = Subject(model, Regression("years", 5.0, 20), model.initial_vector(0), examples)
    found = losses(subject, np.arange(5))
    assert confidences(subject, np.arange(5)) == pytest.approx(-np.log(found))


def test_calibration_takes_the_easiness_of_an_example_away() -> None:
    own = np.array([1.0, 5.0])
    assert calibrated(own, [np.array([0.0, 4.0]), np.array([1.0, 5.0])]).tolist() == [0.5, 0.5]


def test_an_untrained_model_tells_nothing_and_an_overfitted_one_does() -> None:
    model = mlp(4, (32, 16))
    examples, members, others = _images(240, 8, 4), np.arange(120), np.arange(120, 240)
    vector = model.initial_vector(2)
    objective, folds = Classification(4), split(120, 120, 0)

    def found(vector: Vector) -> list[tuple[float, float]]:
        subject = Subject(model, objective, vector, examples)
        by_loss = Scores(-losses(subject, members), -losses(subject, others))
        rows = gradient_signals(subject, members), gradient_signals(subject, others)
        both = auc_estimate(by_loss), auc_estimate(cross_fitted(*rows, folds, fit))
        return [(each.low, each.high) for each in both]

    assert all(low < 0.5 < high for low, high in found(vector))
    structure = model.structure
    trained = vector.copy()
    module = model.module(structure.sizes, structure.named(trained))
    step = torch.optim.SGD(module.parameters(), lr=0.1)
    inputs, targets = examples.batch(members)
    for _ in range(60):
        step.zero_grad()
        torch.nn.functional.cross_entropy(module(inputs), targets).backward()  # type: ignore[no-untyped-call]
        step.step()
    assert all(low > 0.8 for low, _ in found(trained))
