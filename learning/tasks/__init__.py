"""The tasks, one file each, and how one is loaded and shared out over clients."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from learning.objective import Regression, Strata
from learning.partition import ALIKE, Partition, PartitionError, split
from learning.structure import Vector
from learning.task import Corpus, Task, TaskDefinition, TaskError, TaskSettings, drawn
from learning.tasks.brain_age import BRAIN_AGE
from learning.tasks.cifar10 import CIFAR10
from learning.tasks.digits import DIGITS
from learning.tasks.fashion_mnist import FASHION_MNIST
from learning.tasks.femnist import FEMNIST
from learning.tasks.shakespeare import SHAKESPEARE

TASKS: Mapping[str, TaskDefinition] = {
    task.name: task for task in (DIGITS, CIFAR10, FEMNIST, SHAKESPEARE, FASHION_MNIST, BRAIN_AGE)
}

LEAST_EXAMPLES = 32
"""Every client has a batch of the task's default size, or so many: more would keep a small draw of
a task with large batches from being shared out at all."""


def define(name: str) -> TaskDefinition:
    """The definition of that name, without loading data."""
    if name not in TASKS:
        raise TaskError(f"task must be one of {', '.join(TASKS)}: {name!r}")
    return TASKS[name]


@lru_cache(maxsize=2)
def load_task(settings: TaskSettings) -> Task:
    """Load a task's data and share it out; kept for the process's later calls."""
    definition = define(settings.name)
    corpus = _limited(definition.load(settings), settings)
    name = settings.partition
    if name == "natural":
        name = "dirichlet" if corpus.users is None else "user"
    least = min(definition.defaults.batch_size, LEAST_EXAMPLES)
    ages = _ages(definition, corpus)
    partition = Partition(name, settings.clients, least, settings.alpha, corpus.users, ages)
    strata = definition.objective.stratum(corpus.train.labels)
    try:
        shares = split(strata, partition, settings.seed)
    except PartitionError as error:
        raise TaskError(f"{settings.name}: {error}") from error
    judged = [strata[share] for share in shares]
    if name in ALIKE:
        # A small share's mix differs from the whole by chance only.
        judged = [definition.objective.stratum(corpus.test.labels)] * settings.clients
    mix = np.array([_mix(found, definition.objective.strata) for found in judged])
    return Task(settings, definition, corpus, shares, mix, name)


def _ages(definition: TaskDefinition, corpus: Corpus) -> NDArray[np.float32] | None:
    if not isinstance(definition.objective, Regression):
        return None
    return corpus.train.labels.astype(np.float32, copy=False)


def _limited(corpus: Corpus, settings: TaskSettings) -> Corpus:
    train = drawn(len(corpus.train), settings.train_examples, settings.seed)
    test = drawn(len(corpus.test), settings.test_examples, settings.seed)
    users = None if corpus.users is None else corpus.users[train]
    return replace(corpus, train=corpus.train.take(train), test=corpus.test.take(test), users=users)


@lru_cache(maxsize=2)
def initial_vector(settings: TaskSettings) -> Vector:
    """The model that round 1 starts from, read-only; follows from the settings alone."""
    vector = load_task(settings).model.initial_vector(settings.seed)
    vector.flags.writeable = False
    return vector


def data_card(task: Task) -> str:
    """What the run trains on: source, checksums, split, and counts for each client."""
    settings, corpus, objective = task.settings, task.corpus, task.objective
    how = task.partition
    if how == "dirichlet":
        how += f" (alpha {settings.alpha:g})"
    counts = [len(share) for share in task.shares]
    held = [objective.share(corpus.train.labels[share]) for share in task.shares]
    return "\n".join(
        [
            *_origin(task),
            f"split: {how} over {settings.clients} clients, seed {settings.seed}",
            f"examples per client: {_listed(counts)}",
            f"{objective.of_share} per client: {_listed(held)}",
        ]
    )


def _listed(figures: Sequence[float]) -> str:
    """One by one as far as a line holds them, else their range."""
    if len(figures) <= 40:
        return " ".join(map(_said, figures))
    low, high = _said(min(figures)), _said(max(figures))
    return f"{low} to {high}, on average {sum(figures) / len(figures):.1f}"


def _said(figure: float) -> str:
    return f"{figure:.1f}".removesuffix(".0")


def _origin(task: Task) -> list[str]:
    corpus, said = task.corpus, task.objective.card(task.corpus.train.labels)
    return [
        corpus.card,
        f"train {len(corpus.train)}, test {len(corpus.test)}, {said}",
        f"model: {corpus.model.structure.size:,} parameters",
    ]


def _mix(strata: Strata, kinds: int) -> NDArray[np.float64]:
    counts = np.bincount(strata, minlength=kinds)
    return np.asarray(counts / counts.sum())
