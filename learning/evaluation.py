"""How good a model is: on the whole test set, and on the mix of examples that each client has.

Must not know rounds or who trained the model.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from learning.examples import Examples
from learning.partition import Indices
from learning.structure import Vector
from learning.task import Task, TaskSettings
from learning.tasks import load_task
from learning.training import compute_alike

BATCH = 256
ELEMENTS = 2**21
"""Of inputs at a time: large enough to be quick; a few hundred MB of activations at most."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    metric: float
    """The objective's, on the test set."""
    loss: float
    """Mean on the test set."""
    per_client: tuple[float, ...]
    """The metric on the test set reweighted to the mix of each client's training data: each
    stratum's (a label, or a range of values), weighted by the client's share of it. Under an IID
    split, every client's is the whole test set's. Strata that the test set lacks are left out."""


def evaluate(settings: TaskSettings, vector: Vector) -> Evaluation:
    """Judge a full model. A model that diverged gets its poor metric and a NaN loss."""
    compute_alike()
    task = load_task(settings)
    tensors = task.structure.named(vector.copy())
    module = task.model.module(task.structure.sizes, tensors).eval()
    scores = np.empty(len(task.corpus.test), np.float64)
    loss = 0.0
    with torch.no_grad():
        for indices in batches(task.corpus.test, np.arange(len(scores))):
            inputs, targets = task.corpus.test.batch(indices)
            outputs = module(inputs)
            loss += float(task.objective.per_example(outputs, targets).sum())
            scores[indices] = task.objective.scores(outputs, targets).numpy()
    return Evaluation(float(scores.mean()), loss / len(scores), _per_client(task, scores))


def batches(examples: Examples, chosen: Indices) -> list[Indices]:
    """In order, as many at a time as memory is meant for."""
    inputs, _ = examples.batch(chosen[:1])
    size = max(1, min(BATCH, ELEMENTS // inputs.numel()))
    return [chosen[start : start + size] for start in range(0, len(chosen), size)]


def _per_client(task: Task, scores: NDArray[np.float64]) -> tuple[float, ...]:
    strata, objective = task.objective.stratum(task.corpus.test.labels), task.objective
    met = np.bincount(strata, minlength=objective.strata)
    found = np.bincount(strata, scores, minlength=objective.strata)
    metric = found / np.maximum(met, 1)
    weight = task.label_shares * (met > 0)
    totals = weight.sum(axis=1)
    # A client none of whose strata is tested has no figure of its own: it gets the whole's.
    own = np.divide(
        weight @ metric, totals, out=np.full(len(totals), scores.mean()), where=totals > 0
    )
    return tuple(float(value) for value in own)
