"""The tasks, one file each, and how one is loaded and shared out over clients."""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from learning.partition import Partition, PartitionError, split
from learning.structure import Vector
from learning.task import Corpus, Task, TaskDefinition, TaskError, TaskSettings
from learning.tasks.digits import DIGITS
from learning.tasks.femnist import FEMNIST

TASKS: Mapping[str, TaskDefinition] = {task.name: task for task in (DIGITS, FEMNIST)}


def define(name: str) -> TaskDefinition:
    """The definition of that name, without loading data."""
    if name not in TASKS:
        raise TaskError(f"task must be one of {', '.join(TASKS)}: {name!r}")
    return TASKS[name]


@lru_cache(maxsize=2)
def load_task(settings: TaskSettings) -> Task:
    """Load a task's data and share it out; kept for the process's later calls."""
    definition = define(settings.name)
    corpus = definition.load(settings)
    partition = Partition(
        settings.partition, settings.clients, definition.defaults.batch_size, settings.alpha
    )
    try:
        shares = split(corpus.train.labels, partition, settings.seed)
    except PartitionError as error:
        raise TaskError(f"{settings.name}: {error}") from error
    judged = [corpus.train.labels[share] for share in shares]
    if settings.partition == "iid":
        # A small IID share's label mix differs from the whole by chance only.
        judged = [corpus.test.labels] * settings.clients
    mix = np.array([_mix(labels, definition.classes) for labels in judged])
    return Task(settings, definition, corpus, shares, mix)


@lru_cache(maxsize=2)
def initial_vector(settings: TaskSettings) -> Vector:
    """The model that round 1 starts from, read-only; follows from the settings alone."""
    vector = load_task(settings).model.initial_vector(settings.seed)
    vector.flags.writeable = False
    return vector


def data_card(task: Task) -> str:
    """What the run trains on: source, checksums, split, and counts for each client."""
    settings, corpus = task.settings, task.corpus
    how = settings.partition
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
