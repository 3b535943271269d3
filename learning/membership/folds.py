"""Judging an attack that learns: each example by what was learnt from others.

Knows scores and folds; not what is learnt.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learning.membership.figures import Estimate, Scores, balanced_accuracy, threshold, widened

FOLDS = 2
"""An attacker who knows of half of the examples whether they are members judges the other half,
and the other way round: each is judged once."""

TOGETHER = FOLDS**0.5
"""What intervals of cross-fitted figures are widened by: both halves' figures hang on what members
and others of the one have in common with those of the other, so that together they tell no more
than one. Without it, intervals around scores that mean nothing leave 0.5 out in 15 of 100 cases."""

Fold = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """By fold, which examples are known to the attacker; the others are judged."""

    members: tuple[Fold, ...]
    others: tuple[Fold, ...]


def split(members: int, others: int, seed: int) -> Split:
    generator = np.random.default_rng([seed, 0xF01D])

    def of(count: int) -> tuple[Fold, ...]:
        number = generator.permutation(count) % FOLDS
        return tuple(number != fold for fold in range(FOLDS))

    return Split(of(members), of(others))


def cross_fitted(
    members: NDArray[np.float64],
    others: NDArray[np.float64],
    folds: Split,
    learn: Callable[
        [NDArray[np.float64], NDArray[np.float64]],
        Callable[[NDArray[np.float64]], NDArray[np.float64]],
    ],
) -> Scores:
    """Scores of all examples, each from what `learn` made of the known members' and others' rows
    of the other folds."""
    scored = Scores(np.zeros(len(members)), np.zeros(len(others)))
    for known, known_others in zip(folds.members, folds.others, strict=True):
        score = learn(members[known], others[known_others])
        scored.members[~known] = score(members[~known])
        scored.others[~known_others] = score(others[~known_others])
    return scored


def attack_accuracy(scores: Scores, folds: Split) -> Estimate:
    """Balanced accuracy at the threshold that is best on the known examples; cross-fitted."""
    right, right_others = np.zeros(len(scores.members)), np.zeros(len(scores.others))
    for known, known_others in zip(folds.members, folds.others, strict=True):
        at = threshold(Scores(scores.members[known], scores.others[known_others]))
        right[~known] = scores.members[~known] > at
        right_others[~known_others] = scores.others[~known_others] <= at
    return widened(balanced_accuracy(right, right_others), TOGETHER)
