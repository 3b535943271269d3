"""The tasks, one file each, and how one is loaded and shared out over clients."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from learning.partition import Partition, PartitionError, split
from learning.structure import Vector
from learning.task import Corpus, Task, TaskDefinition, TaskError, TaskSettings, drawn
from learning.tasks.cifar10 import CIFAR10
from learning.tasks.digits import DIGITS
from learning.tasks.fashion_mnist import FASHION_MNIST
from learning.tasks.femnist import FEMNIST
from learning.tasks.shakespeare import SHAKESPEARE

TASKS: Mapping[str, TaskDefinition] = {
    task.name: task for task in (DIGITS, CIFAR10, FEMNIST, SHAKESPEARE, FASHION_MNIST)
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
    partition = Partition(name, settings.clients, least, settings.alpha, corpus.users)
    try:
        shares = split(corpus.train.labels, partition, settings.seed)
    except PartitionError as error:
        raise TaskError(f"{settings.name}: {error}") from error
    judged = [corpus.train.labels[share] for share in shares]
    if name == "iid":
        # A small IID share's label mix differs from the whole by chance only.
        judged = [corpus.test.labels] * settings.clients
    mix = np.array([_mix(labels, definition.classes) for labels in judged])
    return Task(settings, definition, corpus, shares, mix, name)


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
    settings, corpus = task.settings, task.corpus
    how = task.partition
    if how == "dirichlet":
        how += f" (alpha {settings.alpha:g})"
    counts = [len(share) for share in task.shares]
    held = [len(np.unique(corpus.train.labels[share])) for share in task.shares]
    return "\n".join(
        [
            *_origin(corpus),
            f"split: {how} over {settings.clients} clients, seed {settings.seed}",
            f"examples per client: {_listed(counts)}",
            f"labels per client: {_listed(held)}",
        ]
    )


def _listed(counts: list[int]) -> str:
    """One by one as far as a line holds them, else their range."""
    if len(counts) <= 40:
        return " ".join(map(str, counts))
    return f"{min(counts)} to {max(counts)}, on average {sum(counts) / len(counts):.1f}"


def _origin(corpus: Corpus) -> list[str]:
    labels = len(np.unique(corpus.train.labels))
    return [
        corpus.card,
        f"train {len(corpus.train)}, test {len(corpus.test)}, {labels} labels present",
        f"model: {corpus.model.structure.size:,} parameters",
    ]


def _mix(labels: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    counts = np.bincount(labels, minlength=classes)
    return np.asarray(counts / counts.sum())
