"""What a task is: data, model, metric, and how the data is shared out over clients.

The types only; the tasks themselves are in `learning.tasks`. Must not know rounds or training.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from learning.examples import Examples
from learning.models import Model
from learning.objective import Objective
from learning.partition import Indices, Labels
from learning.structure import Structure
from protocol.settings import ClientSettings


class TaskError(ValueError):
    """A task that cannot be had: unknown, or data that is missing or wrong. One line."""


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """Everything that decides a task's data; equal settings give equal data everywhere."""

    name: str
    data_dir: str | None = None
    clients: int = 20
    seed: int = 0
    partition: str = "iid"
    """A name of `learning.partition`, or `natural`: by user where users are known, else
    `dirichlet`."""
    alpha: float = 1.0
    """Concentration of the `dirichlet` partition; without effect in the others."""
    train_examples: int = 0
    """How many of the training examples are used, drawn by the seed; 0: all."""
    test_examples: int = 0
    grid: str = ""
    """Of volumes: `91x109x91`; empty: the task's own."""

    @classmethod
    def of_client(cls, settings: ClientSettings, data_dir: str | None) -> "TaskSettings":
        """What a client was told, with its own data folder."""
        told = {field.name: getattr(settings, field.name) for field in fields(ClientSettings)}
        names = {field.name for field in fields(cls)} & told.keys()
        return cls(settings.task, data_dir, **{name: told[name] for name in names})


def drawn(count: int, limit: int, seed: int) -> Indices:
    """Which of `count` examples are used, ascending: `limit` of them, drawn by the seed; 0: all."""
    if not 0 < limit < count:
        return np.arange(count)
    generator = np.random.default_rng([seed, 0xD7A3])  # a stream of its own beside other seeds
    return np.sort(generator.choice(count, limit, replace=False))


@dataclass(frozen=True, slots=True)
class TrainingDefaults:
    """What a run trains with unless told otherwise; `rounds` reach a useful metric."""

    rounds: int
    epochs: int
    batch_size: int
    learning_rate: float
    optimiser: str
    partition: str = "iid"


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """A task's data before it is shared out, with the model for it."""

    train: Examples
    test: Examples
    model: Model
    card: str
    """What the data is and where it came from, with checksums; plain lines."""
    users: Labels | None = None
    """Who wrote or spoke each training example, or where it was taken, numbered from 0; None where
    nobody knows."""
    simulated: bool = False
    """Whether the data is made up: its figures are never shown without saying so."""


@dataclass(frozen=True, slots=True)
class TaskDefinition:
    """A line of the table of tasks."""

    name: str
    describe: str
    objective: Objective
    defaults: TrainingDefaults
    load: Callable[[TaskSettings], Corpus]


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """A task ready to train: the corpus, and each client's part of it."""

    settings: TaskSettings
    definition: TaskDefinition
    corpus: Corpus
    shares: tuple[Indices, ...]
    """Each client's training examples."""
    label_shares: NDArray[np.float64]
    """[clients, strata of the objective]: the mix that each client is judged on."""

    partition: str = "iid"
    """How the data was really shared out."""

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def objective(self) -> Objective:
        return self.definition.objective

    @property
    def defaults(self) -> TrainingDefaults:
        return self.definition.defaults

    @property
    def model(self) -> Model:
        return self.corpus.model

    @property
    def structure(self) -> Structure:
        return self.corpus.model.structure

    def share(self, client: int) -> Indices:
        """The client's training examples, as indices into `corpus.train`."""
        if not 0 <= client < len(self.shares):
            raise TaskError(f"{self.name}: no client {client} of {len(self.shares)}")
        return self.shares[client]

    def examples(self, client: int) -> int:
        """The client's weight in the mean."""
        return len(self.share(client))
