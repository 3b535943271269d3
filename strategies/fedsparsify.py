"""`fedsparsify-global` and `fedsparsify-local`: magnitude pruning during training.

FedSparsify (arXiv 2208.11669), by its public code; what is our choice is marked in
docs/fedsparsify.md. Global: the coordinator prunes the merged model, and everybody trains under
that shared pattern. Local: each client prunes what it has trained, and the majority decides.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from learning.selection import Kept
from learning.sparsity import Pruner
from learning.structure import Structure, Vector
from learning.upload import Votes
from strategies.interface import Strategy
from strategies.none import everybody, full_model
from strategies.pruning import Merged, Pruning, Trained, pruned, pruner_of, schedule_of
from strategies.settings import StrategySettings

SparsityAt = Callable[[int], float]
"""The sparsity after a round."""
Score = Callable[[Vector], NDArray[np.floating]]
"""Which weights of the merged model go first: those of the lowest score (at least 0)."""


class ServerPruning:
    """The coordinator prunes what clients' updates merged to."""

    votes: Votes = "none"
    gradient_round = 0

    def __init__(self, pruner: Pruner, sparsity_at: SparsityAt, score: Score = np.abs) -> None:
        self._pruner = pruner
        self._sparsity_at = sparsity_at
        self._score = score

    def upload(self, round_: int, own: Trained) -> tuple[Vector, Kept | None]:
        return own.update, None

    def merge(self, round_: int, merged: Merged) -> tuple[Vector, Kept]:
        model, sparsity = merged.before + merged.update, self._sparsity_at(round_)
        kept = self._pruner.by_score(self._score(model), merged.kept, sparsity)
        return pruned(model, kept), kept


class VotedPruning:
    """Each client prunes its own weights at the round's sparsity; what at least half of them keep
    survives. The mean takes who does not keep a weight for a zero, or is over the voters."""

    gradient_round = 0

    def __init__(self, pruner: Pruner, sparsity_at: SparsityAt, voters_only: bool) -> None:
        self.votes: Votes = "weight" if voters_only else "count"
        self._pruner = pruner
        self._sparsity_at = sparsity_at
        self._voters_only = voters_only

    def upload(self, round_: int, own: Trained) -> tuple[Vector, Kept | None]:
        """Without a weight its new value is zero: the update takes the old one away, unless the
        mean leaves this client out."""
        model, sparsity = own.before + own.update, self._sparsity_at(round_)
        kept = self._pruner.by_magnitude(model, own.kept, sparsity)
        otherwise = np.float32(0) if self._voters_only else -own.before
        return np.where(kept, own.update, otherwise), kept

    def merge(self, round_: int, merged: Merged) -> tuple[Vector, Kept]:
        """At least ⌊N/2⌋ votes, as in the source; never none."""
        votes = np.zeros(merged.kept.shape) if merged.votes is None else merged.votes
        kept = merged.kept & (votes >= max(1, merged.clients // 2))
        return pruned(merged.before + merged.update, kept), kept


def _global(settings: StrategySettings, structure: Structure) -> Pruning:
    return ServerPruning(pruner_of(settings, structure), schedule_of(settings).at)


def _local(settings: StrategySettings, structure: Structure) -> Pruning:
    voters_only = settings.vote_mean == "voters"
    return VotedPruning(pruner_of(settings, structure), schedule_of(settings).at, voters_only)


FEDSPARSIFY_GLOBAL = Strategy(
    name="fedsparsify-global",
    describe="the merged model is pruned step by step; only what survives is trained and sent",
    server=everybody,
    client=full_model,
    counts=lambda settings: "total",
    pruning=_global,
)

FEDSPARSIFY_LOCAL = Strategy(
    name="fedsparsify-local",
    describe="clients prune what they train step by step, and a majority decides what survives",
    server=everybody,
    client=full_model,
    counts=lambda settings: "total",
    pruning=_local,
    alone="its clients vote on whole models, which those with a part of one have not trained",
    when_drawn="the majority is that of the clients drawn",
)
