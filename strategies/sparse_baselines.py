"""`one-shot`, `random-gradual`, `snip`: what gradual magnitude pruning is compared with.

As FedSparsify (arXiv 2208.11669) compares itself; what is our choice is marked in
docs/fedsparsify.md.
"""

import numpy as np

from learning.selection import Kept
from learning.sparsity import Pruner
from learning.structure import Structure, Vector
from learning.upload import Votes
from strategies.fedsparsify import ServerPruning
from strategies.interface import Strategy
from strategies.none import everybody, full_model
from strategies.pruning import Merged, Pruning, Trained, pruned, pruner_of, schedule_of
from strategies.settings import StrategySettings

BEFORE_THE_END = 10
"""Rounds that one-shot pruning leaves for the survivors to recover."""
_STREAM = 0x59A2
"""Of random scores, beside the seed's other streams."""


class GradientPruning:
    """SNIP (arXiv 1810.02340): before anything is trained, the weights with the least |gradient ·
    weight| are pruned for good. The gradient is the mean over the clients' own, summed like an
    update in a round of its own, so that it too can be summed under masks (our choice)."""

    votes: Votes = "none"
    gradient_round = 1

    def __init__(self, pruner: Pruner, sparsity: float) -> None:
        self._pruner = pruner
        self._sparsity = sparsity

    def upload(self, round_: int, own: Trained) -> tuple[Vector, Kept | None]:
        return own.update, None

    def merge(self, round_: int, merged: Merged) -> tuple[Vector, Kept]:
        if round_ != self.gradient_round:
            return merged.before + merged.update, merged.kept
        scores = np.abs(merged.before * merged.update)
        kept = self._pruner.by_score(scores, merged.kept, self._sparsity)
        return pruned(merged.before, kept), kept


def _one_shot(settings: StrategySettings, structure: Structure) -> Pruning:
    schedule = schedule_of(settings)
    at = settings.one_shot_round or max(1, schedule.end - BEFORE_THE_END)
    return ServerPruning(
        pruner_of(settings, structure), lambda round_: schedule.final if round_ >= at else 0.0
    )


def _random_gradual(settings: StrategySettings, structure: Structure) -> Pruning:
    """Which weights go in which order is drawn once."""
    order = np.random.default_rng([settings.seed, _STREAM]).random(structure.size)
    at = schedule_of(settings).at
    return ServerPruning(pruner_of(settings, structure), at, lambda model: order)


def _snip(settings: StrategySettings, structure: Structure) -> Pruning:
    return GradientPruning(pruner_of(settings, structure), schedule_of(settings).final)


ONE_SHOT = Strategy(
    name="one-shot",
    describe="the merged model is pruned once, by magnitude, some rounds before the end",
    server=everybody,
    client=full_model,
    counts=lambda settings: "total",
    pruning=_one_shot,
)

RANDOM_GRADUAL = Strategy(
    name="random-gradual",
    describe="the merged model is pruned step by step, in a random order",
    server=everybody,
    client=full_model,
    counts=lambda settings: "total",
    pruning=_random_gradual,
)

SNIP = Strategy(
    name="snip",
    describe="weights of the least connection sensitivity are pruned before training begins",
    server=everybody,
    client=full_model,
    counts=lambda settings: "total",
    pruning=_snip,
    alone="its first round measures the whole model's gradient on every client",
)
