"""Which neurons a straggler leaves out by its own evidence: what its own training changed least.

CLIP (arXiv 2510.16694) finds invariant neurons at the client; the exact criterion is not public,
and this one is our choice, after FLuID's (arXiv 2307.02623). Clients' kept sets differ freely, so
the mean needs a count per pair of neurons.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from learning.invariance import scores
from learning.structure import Keep, Structure, Vector, kept_sizes
from strategies.interface import Outcome, RoundView
from strategies.neurons import History, keep_of
from strategies.settings import StrategySettings
from strategies.state import State, StateError, grouped

Scores = NDArray[np.float64]
Streaks = NDArray[np.intp]
"""For each neuron, the rounds in a row for which it has been dropped."""


def threshold_for(score: Scores, needed: int, growth: float) -> float:
    """Grow from the smallest score by `growth` until at least `needed` scores are at or below."""
    enough = float(np.partition(score, needed - 1)[needed - 1]) if needed else -math.inf
    positive = score[score > 0]
    if enough <= score.min() or not positive.size:
        return float(score.min())
    start = float(positive.min())
    if enough <= start or math.isinf(enough):
        return max(start, enough)
    # In logarithms: between the least and the largest float lie 70,000 steps of 1 %.
    steps = math.ceil((math.log(enough) - math.log(start)) / math.log(growth) - 1e-9)
    return max(enough, math.exp(math.log(start) + steps * math.log(growth)))


def drop_order(
    score: Scores, streak: Streaks, threshold: float, renewal_rounds: int
) -> NDArray[np.intp]:
    """First what was dropped last round and is still invariant, then other invariant neurons, then
    the rest; lowest score first, ties by index. Neurons dropped for `renewal_rounds` in a row come
    last, the longest dropped at the very end: they are brought back as far as the ratio allows."""
    invariant = score <= threshold
    tier = np.where(invariant, np.where(streak > 0, 0, 1), 2)
    overdue = np.where(streak >= renewal_rounds, streak, 0)
    return np.lexsort((score, tier, overdue))


class LocalEvidenceChoice:
    """A neuron's score is that of the client's own last update where it was trained, else that of
    the last change of the global model, which costs nothing and lets dropped neurons return. A
    client that missed that change goes by its own last score of the neuron, however old."""

    def __init__(self, structure: Structure, settings: StrategySettings) -> None:
        self._structure = structure
        self._settings = settings
        self._history = History()
        self._round: RoundView | None = None
        self._observed = 0
        self._own: dict[str, Scores] = {}
        self._remembered: dict[str, Scores] = {}
        """Own scores, each from the last round in which its neuron was trained."""
        self._streaks: dict[str, Streaks] = {
            group: np.zeros(size, dtype=np.intp) for group, size in structure.sizes.items()
        }

    def see(self, view: RoundView) -> None:
        self._round = view
        self._history.see(view.round, view.model)

    def keep(self, keep_ratio: float) -> Keep | None:
        found = self._merged()
        if found is None:
            return None
        sizes = kept_sizes(self._structure, keep_ratio)
        order = {
            group: self._order(score, self._streaks[group], len(score) - sizes[group])
            for group, score in found.items()
        }
        return keep_of(order, self._structure, keep_ratio)

    def observe(self, outcome: Outcome) -> None:
        """Learn from a round that was trained to its end."""
        view, keep = self._round, outcome.decision.keep
        if outcome.update is None or view is None or outcome.round != view.round:
            return
        if outcome.computed:
            self._own = _scores(self._structure, (view.model, outcome.update), keep)
        else:
            self._own = self._unmoved(keep)
        self._remembered = {
            group: np.where(np.isnan(own), self._remembered.get(group, own), own)
            for group, own in self._own.items()
        }
        another = outcome.round != self._observed  # a round's second attempt is no second round
        self._observed = outcome.round
        for group, streak in self._streaks.items():
            dropped = self._dropped(group, keep)
            self._streaks[group] = np.where(dropped, np.maximum(streak + another, 1), 0)

    def state(self) -> State:
        history = self._history.state()
        arrays = {
            **history.arrays,
            **grouped("own", self._own),
            **grouped("remembered", self._remembered),
            **grouped("streak", self._streaks),
        }
        return State({**history.values, "observed": self._observed}, arrays)

    def restore(self, state: State) -> None:
        self._history.restore(state)
        self._observed = int(state.values["observed"])
        self._own, self._remembered = state.group("own"), state.group("remembered")
        streaks = state.group("streak")
        if {group: len(streak) for group, streak in streaks.items()} != dict(self._structure.sizes):
            raise StateError("evidence: must hold a streak for each neuron")
        self._streaks = streaks

    def _unmoved(self, keep: Keep) -> dict[str, Scores]:
        """The scores of an update of zeros."""
        return {
            group: np.where(self._dropped(group, keep), np.nan, 0.0)
            for group in self._structure.sizes
        }

    def _dropped(self, group: str, keep: Keep) -> NDArray[np.bool_]:
        dropped = np.zeros(len(self._streaks[group]), dtype=np.bool_)
        if keep:
            dropped[:] = True
            dropped[keep[group]] = False
        return dropped

    def _order(self, score: Scores, streak: Streaks, needed: int) -> NDArray[np.intp]:
        threshold = threshold_for(score, needed, self._settings.threshold_growth)
        return drop_order(score, streak, threshold, self._settings.renewal_rounds)

    def _merged(self) -> Mapping[str, Scores] | None:
        """None if some neuron has neither own evidence nor any from the global model. One whose
        weights are all zero has none even so, and counts as never invariant."""
        change = self._history.change()
        if change is None:
            remembered = self._remembered
            known = bool(remembered) and not any(np.isnan(s).any() for s in remembered.values())
            return remembered if known else None
        found = _scores(self._structure, change)
        merged = {
            group: np.where(np.isnan(own), found[group], own) for group, own in self._own.items()
        }
        return {
            group: np.where(np.isnan(score), np.inf, score)
            for group, score in (merged or found).items()
        }


def _scores(
    structure: Structure, change: tuple[Vector, Vector], trained: Keep | None = None
) -> dict[str, Scores]:
    found = scores(structure, *change, trained=trained)
    return {group: score.astype(np.float64) for group, score in found.items()}
