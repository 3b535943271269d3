"""What an attack's scores amount to: area under the ROC curve, true positives at few false ones,
accuracy at a threshold; each with a 95 % interval, and the paired difference of two areas.

A higher score says "member". Must not know models or examples.
"""

from dataclasses import dataclass
from math import exp, floor, log, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
LEVEL = 0.95
Z = NormalDist().inv_cdf((1 + LEVEL) / 2)
RESAMPLES = 1000


class FiguresError(ValueError):
    """Scores from which nothing can be told. One line."""


@dataclass(frozen=True, slots=True)
class Estimate:
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """One attack's scores, of examples that were trained on and of others."""

    members: Values
    others: Values

    def __post_init__(self) -> None:
        for name in ("members", "others"):
            values = getattr(self, name)
            if values.ndim != 1 or len(values) < 2:
                raise FiguresError(f"{name}: at least 2 scores are needed")
            if not np.isfinite(values).all():
                raise FiguresError(f"{name}: scores must be finite")


def auc(scores: Scores) -> float:
    """Chance that a member scores higher than another example; a tie counts half."""
    return float(_placements(scores)[0].mean())


def auc_estimate(scores: Scores) -> Estimate:
    """With DeLong's interval (Biometrics 44, 1988), taken on the logit so that it ends within
    [0, 1]. Where the two kinds do not overlap there is no variance to go by: then the interval ends
    where so many scores of the rarer kind would show none overlapping with 2.5 % chance."""
    above, below = _placements(scores)
    value = float(above.mean())
    few = min(len(above), len(below))
    if value in (0.0, 1.0):
        apart = ((1 - LEVEL) / 2) ** (1 / few)
        return Estimate(value, apart, 1.0) if value else Estimate(value, 0.0, 1 - apart)
    spread = sqrt(_variance(above, below)) / (value * (1 - value))
    logit = log(value / (1 - value))
    return Estimate(value, *(1 / (1 + exp(-(logit + sign * Z * spread))) for sign in (-1, 1)))


def auc_difference(first: Scores, second: Scores) -> Estimate:
    """AUC of the first less that of the second, of the same examples in the same order: DeLong's
    interval for correlated curves."""
    if len(first.members) != len(second.members) or len(first.others) != len(second.others):
        raise FiguresError("a paired difference needs two scores of each example")
    above, below = (
        one - other for one, other in zip(_placements(first), _placements(second), strict=True)
    )
    value, spread = float(above.mean()), sqrt(_variance(above, below))
    return Estimate(value, max(-1.0, value - Z * spread), min(1.0, value + Z * spread))


def widened(found: Estimate, factor: float, lowest: float = 0.0) -> Estimate:
    """The interval so many times as far from the value on both sides, ending at `lowest` and 1."""
    low = found.value - factor * (found.value - found.low)
    high = found.value + factor * (found.high - found.value)
    return Estimate(found.value, max(lowest, low), min(1.0, high))


def _placements(scores: Scores) -> tuple[Values, Values]:
    """Of each member the share of others below it, of each other the share of members above it."""
    return _share_below(scores.members, scores.others), 1 - _share_below(
        scores.others, scores.members
    )


def _share_below(values: Values, among: Values) -> Values:
    order = np.sort(among)
    below = np.searchsorted(order, values, "left") + np.searchsorted(order, values, "right")
    return below / (2 * len(among))


def _variance(above: Values, below: Values) -> float:
    return float(above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below))


def tpr_at(scores: Scores, fpr: float, seed: int) -> Estimate | None:
    """Share of members above the threshold that at most `fpr` of the others exceed: percentiles of
    a bootstrap within members and within others. None: so few others cannot tell."""
    members, others = scores.members, scores.others
    if fpr * len(others) < 1:
        return None
    value = float(_tpr(members[np.newaxis], others[np.newaxis], fpr)[0])
    generator = np.random.default_rng([seed, 0xB007])
    drawn = [
        _tpr(
            members[generator.integers(0, len(members), (50, len(members)))],
            others[generator.integers(0, len(others), (50, len(others)))],
            fpr,
        )
        for _ in range(RESAMPLES // 50)
    ]
    low, high = np.quantile(np.concatenate(drawn), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))


def _tpr(members: Values, others: Values, fpr: float) -> Values:
    """Of each row."""
    count = others.shape[1]
    passed = floor(fpr * count + 1e-9)
    at = count - passed - 1
    thresholds = np.partition(others, at, axis=1)[:, at]
    return np.asarray((members > thresholds[:, np.newaxis]).mean(axis=1))


def threshold(scores: Scores) -> float:
    """Where "member if above" is right most often, both kinds counting the same; of several such
    places the lowest."""
    every = np.unique(np.concatenate([scores.members, scores.others]))
    places = np.concatenate([[every[0] - 1], (every[1:] + every[:-1]) / 2])
    members, others = np.sort(scores.members), np.sort(scores.others)
    missed = np.searchsorted(members, places, "right") / len(members)
    rejected = np.searchsorted(others, places, "right") / len(others)
    return float(places[np.argmax(rejected - missed)])


def balanced_accuracy(right_members: Values, right_others: Values) -> Estimate:
    """Mean of the shares of members and of others that were told right, 0 or 1 each. The interval
    is Agresti and Caffo's (American Statistician 54, 2000) for two proportions."""
    value = float(right_members.mean() + right_others.mean()) / 2
    middle, variance = 0.0, 0.0
    for right in (right_members, right_others):
        share = (float(right.sum()) + 1) / (len(right) + 2)
        middle += share / 2
        variance += share * (1 - share) / (len(right) + 2) / 4
    spread = Z * sqrt(variance)
    return Estimate(value, max(0.0, middle - spread), min(1.0, middle + spread))
