"""How much to prune: from seconds to a keep ratio.

g(p), the fit time at keep ratio p over the full model's, comes from a fitted cost curve over the
sub-model's true MAC counts; it is not p (dense and convolutional layers shrink about as p², the
fixed part not at all). Knows nothing of neurons or peers.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from learning.kernels import DENSE_KERNELS, Kernels
from strategies.times import Standing, Times


class FitCurveError(ValueError):
    """A fit curve cannot be made from these figures."""


@dataclass(frozen=True, slots=True)
class FitCurve:
    """Seconds of a whole local fit = fixed_s + s_per_mac × forward MACs of one sample."""

    fixed_s: float
    s_per_mac: float
    kernels: Kernels = DENSE_KERNELS
    """Which MACs a sub-model counts as, where some of its weights are zero."""

    def __post_init__(self) -> None:
        figures = (self.fixed_s, self.s_per_mac)
        if not all(math.isfinite(figure) and figure >= 0 for figure in figures) or not any(figures):
            raise FitCurveError(
                f"fit curve: needs finite figures >= 0, not both 0, got "
                f"fixed_s={self.fixed_s}, s_per_mac={self.s_per_mac}"
            )

    def seconds(self, macs: float) -> float:
        return self.fixed_s + self.s_per_mac * macs

    def relative(self, macs: float, full_macs: float) -> float:
        """g: the fit time at `macs` over the one at `full_macs` (which must be positive)."""
        return self.seconds(macs) / self.seconds(full_macs)

    @classmethod
    def fitted(cls, probes: Iterable[tuple[float, float]]) -> "FitCurve":
        """Least squares over timed (macs, seconds), both figures held at or above zero.

        Probes of a single size cannot tell the two apart: all is then put down to the MACs.
        """
        points = np.array(list(probes), dtype=np.float64).reshape(-1, 2)
        if not points.size or not np.isfinite(points).all() or (points <= 0).any():
            raise FitCurveError("fit curve: needs probes of positive, finite MACs and seconds")
        macs, seconds = points[:, 0], points[:, 1]
        proportional = cls(0.0, float(macs @ seconds / (macs @ macs)))
        spread = macs - macs.mean()
        if not spread.any():
            return proportional
        s_per_mac = float(spread @ seconds / (spread @ spread))
        fixed_s = float(seconds.mean() - s_per_mac * macs.mean())
        if s_per_mac < 0:
            return cls(float(seconds.mean()), 0.0)
        return proportional if fixed_s < 0 else cls(fixed_s, s_per_mac)


@dataclass(frozen=True, slots=True)
class Rate:
    """One keep ratio and its g."""

    keep_ratio: float
    relative_cost: float


def grid(min_keep: float, step: float, cost: Callable[[float], float]) -> tuple[Rate, ...]:
    """Keep ratios 1, 1 - step, ... and min_keep itself, descending, each with its g."""
    steps = math.ceil(round((1 - min_keep) / step, 9))
    ratios = [max(min_keep, round(1 - index * step, 9)) for index in range(steps + 1)]
    return tuple(Rate(ratio, cost(ratio)) for ratio in ratios)


@dataclass(frozen=True, slots=True)
class Choice:
    rate: Rate
    target_s: float
    predicted_s: float
    reason: str


RateRule = Callable[[Sequence[Rate], Times, Standing], Choice]


def compute_aware(rates: Sequence[Rate], own: Times, known: Standing) -> Choice:
    """The largest p with g(p)·f_s <= T*_fit (our choice; the paper gives no formula)."""
    target_s = known.target_fit_s
    if own.fit_s <= target_s:
        return Choice(rates[0], target_s, own.fit_s, "compute is no slower than the others'")
    rate, reached = _largest(rates, own.fit_s, 0.0, target_s)
    reason = "pruned to the others' fit time" if reached else _BOUNDED
    return Choice(rate, target_s, rate.relative_cost * own.fit_s, reason)


def network_aware(rates: Sequence[Rate], own: Times, known: Standing) -> Choice:
    """The largest p with g(p)·f_s + n_s <= T* (our choice; the paper gives no formula)."""
    target_s = known.target_total_s
    rate, reached = _largest(rates, own.fit_s, own.network_s, target_s)
    predicted_s = rate.relative_cost * own.fit_s + own.network_s
    if own.network_s >= target_s:
        return Choice(rate, target_s, predicted_s, _HOPELESS)
    reason = "pruned to the others' fit + network time" if reached else _BOUNDED
    return Choice(rate, target_s, predicted_s, reason)


_BOUNDED = "pruned as far as allowed, still slower than the others"
_HOPELESS = "the network alone takes longer than the others' rounds: pruning cannot reach them"


def _largest(
    rates: Sequence[Rate], fit_s: float, rest_s: float, target_s: float
) -> tuple[Rate, bool]:
    """The largest ratio that meets the target, and True; else the largest of the cheapest, and
    False: where dropping more neurons saves no time, they stay."""
    for rate in rates:
        if rate.relative_cost * fit_s + rest_s <= target_s:
            return rate, True
    cheapest = min(rate.relative_cost for rate in rates)
    return next(rate for rate in rates if rate.relative_cost <= cheapest), False
