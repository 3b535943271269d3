"""Shadow models: what the run's training makes of other examples of its task, so that an attacker
can tell an easy example from one that was trained on.

The same federated training as the run's, by the same code, with its pruning, on a part of the test
examples that nobody is asked about; without links, masks and stragglers' sub-models.
"""

from dataclasses import dataclass, replace

import numpy as np

from commands.attacked import Attacked
from commands.study import strategy_settings_of
from learning.gradient import gradient
from learning.partition import Indices
from learning.selection import Kept
from learning.structure import Vector
from learning.task import Task
from learning.training import TrainingJob, train
from strategies import lookup
from strategies.pruning import Merged, Pruning, Trained

SHARE = 0.75
"""Of the pool that one shadow model trains on, at most: so that they differ."""


@dataclass(frozen=True, slots=True)
class Shadowing:
    """How shadow models are trained."""

    clients: int
    examples: int


def shadowing(run: Attacked, pool: int) -> Shadowing:
    """As many examples as the run, if the pool has them, in shares as large as the run's."""
    used = sorted(set(run.owners.values()))
    examples = min(len(run.owners), int(SHARE * pool))
    share = len(run.owners) / len(used)
    return Shadowing(max(1, min(len(used), round(examples / share))), examples)


def train_shadow(run: Attacked, pool: Indices, how: Shadowing, number: int) -> Vector:
    """The global model of one shadow federation; `number` decides its examples and beginning."""
    seed = int(np.random.default_rng([run.settings.seed, 0x5AD0, number]).integers(2**31))
    generator = np.random.default_rng(seed)
    drawn = generator.choice(pool, how.examples, replace=False)
    corpus = replace(run.task.corpus, train=run.task.corpus.test, users=None)
    shares = tuple(np.array_split(drawn, how.clients))
    task = replace(run.task, corpus=corpus, shares=shares)
    federation = _Federation(run, task, seed)
    for round_ in range(1, run.settings.rounds + 1):
        federation.play(round_)
    return federation.vector


class _Federation:
    def __init__(self, run: Attacked, task: Task, seed: int) -> None:
        self._task = task
        self._seed = seed
        self._settings = run.settings
        strategy = lookup(run.settings.strategy)
        self._pruning: Pruning | None = None
        if strategy.pruning is not None:
            self._pruning = strategy.pruning(strategy_settings_of(run.settings), task.structure)
        self.vector = task.model.initial_vector(seed)
        self._kept: Kept = np.ones(task.structure.size, np.bool_)

    def play(self, round_: int) -> None:
        pruning, size = self._pruning, self.vector.size
        summed, weights, votes = np.zeros(size), np.zeros(size), np.zeros(size, np.int64)
        for client, share in enumerate(self._task.shares):
            update, kept = self._client(round_, client)
            summed += len(share) * update.astype(np.float64)
            voted = kept is not None and pruning is not None and pruning.votes == "weight"
            weights += len(share) * (kept if voted else 1)  # type: ignore[operator]
            if kept is not None:
                votes += kept
        mean = np.divide(summed, weights, out=summed, where=weights > 0).astype(np.float32)
        if pruning is None:
            self.vector = self.vector + mean
            return
        merged = Merged(self.vector, mean, self._kept, votes, len(self._task.shares))
        self.vector, self._kept = pruning.merge(round_, merged)

    def _client(self, round_: int, client: int) -> tuple[Vector, Kept | None]:
        pruning = self._pruning
        measures = pruning is not None and pruning.gradient_round == round_
        result = (gradient if measures else train)(self._job(round_, client), self._task)
        if pruning is None:
            return result.update, None
        return pruning.upload(round_, Trained(self.vector, result.update, self._kept))

    def _job(self, round_: int, client: int) -> TrainingJob:
        settings, defaults = self._settings, self._task.defaults
        return TrainingJob(
            self._task.settings,
            client,
            round_,
            self.vector,
            {},
            settings.epochs or defaults.epochs,
            settings.batch_size or defaults.batch_size,
            settings.learning_rate or defaults.learning_rate,
            settings.optimiser or defaults.optimiser,
            settings.momentum,
            self._seed,
            kept=None if self._pruning is None else self._kept,
        )
