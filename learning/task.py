"""What a task is: data, model, metric, and how the data is shared out over clients.

The types only; the tasks themselves are in `learning.tasks`. Must not know rounds or training.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from learning.models import Model
from learning.partition import Indices, Labels
from learning.structure import Structure


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
    alpha: float = 1.0
    """Concentration of the `dirichlet` partition; without effect in the others."""


@dataclass(frozen=True, slots=True)
class TrainingDefaults:
    """What a run trains with unless told otherwise; `rounds` reach a useful metric."""

    rounds: int
    epochs: int
    batch_size: int
    learning_rate: float
    optimiser: str


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Images and their labels. Pixels stay in their file's bytes until a batch is taken."""

    images: NDArray[np.uint8] | NDArray[np.float32]
    labels: Labels
    mean: float
    """Of the training pixels; subtracted, then divided by their standard deviation."""
    deviation: float

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: Indices) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs float32 [n, 1, height, width], standardised, and labels int64 [n]."""
        pixels = self.images[indices].astype(np.float32)
        pixels -= np.float32(self.mean)
        pixels /= np.float32(self.deviation)
        # Channels last in memory: a fifth less time for a CNN's step on a CPU than channels first.
        inputs = torch.from_numpy(pixels[..., np.newaxis]).permute(0, 3, 1, 2)
        return inputs, torch.from_numpy(self.labels[indices])


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """A task's data before it is shared out, with the model for it."""

    train: Examples
    test: Examples
    model: Model
    card: str
    """What the data is and where it came from, with checksums; plain lines."""


@dataclass(frozen=True, slots=True)
class TaskDefinition:
    """A line of the table of tasks."""

    name: str
    describe: str
    metric: str
    classes: int
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
    """[clients, classes]: the mix of labels that each client is judged on."""

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def metric(self) -> str:
        return self.definition.metric

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
