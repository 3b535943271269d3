"""How good a model is: on the whole test set, and on the mix of labels that each client has.

Must not know rounds or who trained the model.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from learning.structure import Vector
from learning.task import Task, TaskSettings
from learning.tasks import load_task
from learning.training import compute_alike

BATCH = 256
"""Large enough to be quick; conv activations stay near 50 MB."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    metric: float
    """Accuracy on the test set."""
    loss: float
    """Mean cross-entropy on the test set."""
    per_client: tuple[float, ...]
    """Accuracy on the test set reweighted to the label mix of each client's training data: each
    label's accuracy, weighted by the client's share of that label. Under an IID split, every
    client's is the whole test set's. Labels that the test set lacks are left out."""


def evaluate(settings: TaskSettings, vector: Vector) -> Evaluation:
    """Judge a full model. A model that diverged gets its poor metric and a NaN loss."""
    compute_alike()
    task = load_task(settings)
    tensors = task.structure.named(vector.copy())
    module = task.model.module(task.structure.sizes, tensors).eval()
    right = np.empty(len(task.corpus.test), np.bool_)
    loss = 0.0
    with torch.no_grad():
        for start in range(0, len(right), BATCH):
            indices = np.arange(start, min(start + BATCH, len(right)))
            inputs, labels = task.corpus.test.batch(indices)
            outputs = module(inputs)
            loss += float(nn.functional.cross_entropy(outputs, labels, reduction="sum"))
            right[indices] = (outputs.argmax(1) == labels).numpy()
    return Evaluation(float(right.mean()), loss / len(right), _per_client(task, right))


def _per_client(task: Task, right: NDArray[np.bool_]) -> tuple[float, ...]:
    labels = task.corpus.test.labels
    classes = task.definition.classes
    met = np.bincount(labels, minlength=classes)
    hits = np.bincount(labels[right], minlength=classes)
    accuracy = hits / np.maximum(met, 1)
    weight = task.label_shares * (met > 0)
    totals = weight.sum(axis=1)
    # A client none of whose labels is tested has no figure of its own: it gets the whole's.
    own = np.divide(
        weight @ accuracy, totals, out=np.full(len(totals), right.mean()), where=totals > 0
    )
    return tuple(float(value) for value in own)
