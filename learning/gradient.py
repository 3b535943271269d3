"""A client's gradient at the model as it is: what connection sensitivity is measured by.

The same job as training, handed to any process; nothing is trained. Must not know what the gradient
is for.
"""

import numpy as np
import torch
from torch import nn

from learning.evaluation import batches
from learning.task import Task
from learning.tasks import load_task
from learning.training import TrainingError, TrainingJob, TrainingResult, compute_alike


def gradient(job: TrainingJob, task: Task | None = None) -> TrainingResult:
    """The gradient of the mean loss over the client's own examples, in place of an update. `task`:
    as in training."""
    compute_alike()
    task = task or load_task(job.task)
    share = task.share(job.client)
    module = task.model.module(task.structure.sizes, task.structure.named(job.vector.copy()))
    parts = batches(task.corpus.train, share)
    total = sum(_add(task, module, part) for part in parts)
    found = {
        name: np.zeros(parameter.shape, np.float32)
        if parameter.grad is None
        else parameter.grad.numpy()
        for name, parameter in module.named_parameters()
    }
    update = task.structure.flatten(found) / np.float32(len(share))
    if not np.isfinite(update).all():
        raise TrainingError(f"client {job.client}, round {job.round}: a gradient is not finite")
    return TrainingResult(update, total / len(share), len(share), len(parts))


def _add(task: Task, module: nn.Module, indices: np.ndarray) -> float:
    """Gradients add up in the module's parameters; returns the summed loss."""
    inputs, labels = task.corpus.train.batch(indices)
    loss = task.objective.per_example(module(inputs), labels).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    return float(torch.Tensor.detach(loss))
