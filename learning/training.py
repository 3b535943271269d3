"""Local training of a (sub-)model, as a job that runs in any process.

A job is plain values, so that it can be handed to a child process; the task's data is loaded
there once. Must not know devices or links: how long a job takes on a device follows from `work`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from torch import nn

from learning.kernels import BACKWARD_AND_FORWARD, DENSE_KERNELS, Kernels
from learning.partition import Indices
from learning.selection import Kept
from learning.structure import Keep, Vector
from learning.submodel import SubModel
from learning.task import Task, TaskSettings
from learning.tasks import load_task
from protocol.work import Operation, Tally


class TrainingError(RuntimeError):
    """Training that gave no usable weights. One line."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingJob:
    """One client's training in one round."""

    task: TaskSettings
    client: int
    """Which share of the data, from 0."""
    round: int
    vector: Vector
    """The global model at full length."""
    keep: Keep
    epochs: int
    batch_size: int
    learning_rate: float
    optimiser: str
    momentum: float = 0.0
    seed: int = 0
    max_batches: int | None = None
    """Stop after so many optimiser steps (for calibration); None: train all epochs."""
    kept: Kept | None = None
    """Which coordinates of the model survive; the others are and stay zero. None: all do."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingResult:
    update: Vector
    """New weights minus old at full length; zero where the sub-model had nothing."""
    loss: float
    """Mean over the examples of all batches, as they were met."""
    examples: int
    """The client's own examples: its weight in the mean, however often they were seen."""
    batches: int


def train(job: TrainingJob, task: Task | None = None) -> TrainingResult:
    """Train on the client's own examples, on one thread. `task`: in place of the one that the job's
    settings name, for examples that are shared out otherwise.

    The same job gives the same bits on one type of CPU: the order of examples is drawn from
    (seed, round, client), and nothing else is random.
    """
    _check(job)
    compute_alike()
    task = task or load_task(job.task)
    sub = SubModel(task.structure, job.keep)
    start = sub.extract(job.vector)
    trained = start.copy()
    module = task.model.module(sub.widths, sub.named(trained))
    held_at_zero = _hold_at_zero(job, sub, module)
    optimiser = OPTIMISERS[job.optimiser](job, module)
    loss_sum, seen, batches = 0.0, 0, 0
    for indices in _batches(job, task.share(job.client)):
        inputs, labels = task.corpus.train.batch(indices)
        optimiser.zero_grad()
        loss = task.objective.per_example(module(inputs), labels).mean()
        value = float(loss.detach())
        if not np.isfinite(value):
            raise _diverged(job, f"loss {value} in batch {batches + 1}")
        loss.backward()  # type: ignore[no-untyped-call]
        held_at_zero()
        optimiser.step()
        loss_sum, seen, batches = loss_sum + value * len(indices), seen + len(indices), batches + 1
    if not np.isfinite(trained).all():
        raise _diverged(job, "weights that are not finite")
    update = sub.expand(trained - start)
    return TrainingResult(update, loss_sum / seen, task.examples(job.client), batches)


def _hold_at_zero(job: TrainingJob, sub: SubModel, module: nn.Module) -> Callable[[], None]:
    """Weights that do not survive begin at zero; what is returned takes their gradients away before
    each step, so that they stay there. The survivors learn what they would if the pruned weights
    were set to zero before each batch, as the source does."""
    if job.kept is None:
        return lambda: None
    kept = sub.named(job.kept[sub.mask].astype(np.float32))
    parameters = dict(module.named_parameters())
    masks = [(parameters[name], torch.from_numpy(mask)) for name, mask in kept.items()]
    with torch.no_grad():
        for parameter, mask in masks:
            parameter.mul_(mask)

    def hold() -> None:
        for parameter, mask in masks:
            if parameter.grad is not None:
                parameter.grad.mul_(mask)

    return hold


def compute_alike() -> None:
    """The same bits each time: one thread, and no algorithm whose order of sums may vary."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    # Nothing here reads memory before it is written; filling it cost 10 % of a step on volumes.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def work(job: TrainingJob, kernels: Kernels = DENSE_KERNELS) -> Tally:
    """What the job will cost a device with these kernels, known before it runs."""
    _check(job)
    task = load_task(job.task)
    samples, batches = planned(job, task.examples(job.client))
    macs = BACKWARD_AND_FORWARD * kernels.macs(task.structure, job.keep, job.kept) * samples
    return {Operation.TRAINING_MAC: macs, Operation.TRAINING_BATCH: batches}


def planned(job: TrainingJob, examples: int) -> tuple[int, int]:
    """Samples and optimiser steps of the job, for a client with so many examples."""
    per_epoch = ceil(examples / job.batch_size)
    batches = job.epochs * per_epoch
    if job.max_batches is not None:
        batches = min(batches, job.max_batches)
    whole_epochs, rest = divmod(batches, per_epoch)
    return whole_epochs * examples + min(rest * job.batch_size, examples), batches


def _batches(job: TrainingJob, share: Indices) -> Iterator[Indices]:
    generator = np.random.default_rng([job.seed, job.round, job.client])
    _, left = planned(job, len(share))
    while left:
        order = generator.permutation(share)
        for start in range(0, len(order), job.batch_size):
            if left:
                left -= 1
                yield order[start : start + job.batch_size]


def _check(job: TrainingJob) -> None:
    for name in ("epochs", "batch_size", "max_batches"):
        value = getattr(job, name)
        if value is not None and value < 1:
            raise TrainingError(f"{name} must be at least 1: {value}")
    if job.learning_rate < 0 or job.momentum < 0:
        raise TrainingError(
            f"learning_rate and momentum cannot be negative: {job.learning_rate}, {job.momentum}"
        )
    if job.optimiser not in OPTIMISERS:
        raise TrainingError(f"optimiser must be one of {sorted(OPTIMISERS)}: {job.optimiser!r}")


def _sgd(job: TrainingJob, module: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(module.parameters(), lr=job.learning_rate, momentum=job.momentum)


def _adam(job: TrainingJob, module: nn.Module) -> torch.optim.Optimizer:
    """Its moments start anew each round: a client keeps nothing of the model between rounds."""
    return torch.optim.Adam(module.parameters(), lr=job.learning_rate)


OPTIMISERS: Mapping[str, Callable[[TrainingJob, nn.Module], torch.optim.Optimizer]] = {
    "sgd": _sgd,
    "adam": _adam,
}


def _diverged(job: TrainingJob, what: str) -> TrainingError:
    return TrainingError(
        f"client {job.client}, round {job.round}: {what}; lower learning_rate {job.learning_rate:g}"
    )
