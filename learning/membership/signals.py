"""What an attacker who has a model measures of each example: its loss, its gradient, and how the
gradient lies to an update that was seen.

After Nasr et al. 2019 (arXiv 1812.00910) in the white box; summaries of gradients rather than
gradients, because an attacker knows too few members to learn on a hundred thousand columns. Must
not know who is a member.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log, sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from learning.evaluation import batches
from learning.examples import Examples
from learning.models import Model
from learning.objective import Classification, Objective
from learning.partition import Indices
from learning.structure import Vector
from learning.training import compute_alike

TINY = 1e-12
LARGEST_ERRORS = 3
"""Entries of the output layer's gradient that are looked at, largest first."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A model under attack, and the examples that it is asked about."""

    model: Model
    objective: Objective
    vector: Vector
    examples: Examples


def losses(subject: Subject, indices: Indices) -> NDArray[np.float64]:
    """The task's loss of each of these examples."""
    return _judged(subject, indices, subject.objective.per_example)


def scores(subject: Subject, indices: Indices) -> NDArray[np.float64]:
    """What each adds to the task's metric."""
    return _judged(subject, indices, subject.objective.scores)


def _judged(
    subject: Subject,
    indices: Indices,
    judge: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> NDArray[np.float64]:
    compute_alike()
    module = _module(subject)
    parts = (subject.examples.batch(part) for part in batches(subject.examples, indices))
    found = [judge(module(inputs), targets).double().numpy() for inputs, targets in parts]
    return np.concatenate([np.zeros(0), *found])


def confidences(subject: Subject, indices: Indices) -> NDArray[np.float64]:
    """The same on a scale on which it is nearly normal over models: log p/(1 − p) of the right
    class (Carlini et al. 2022, arXiv 2112.03570); of an estimate minus the log of its squared
    error (our choice)."""
    bounded = np.maximum(losses(subject, indices), TINY)
    if not isinstance(subject.objective, Classification):
        return -np.log(bounded)
    return -bounded - np.log(-np.expm1(-bounded))


def _module(subject: Subject) -> nn.Module:
    structure = subject.model.structure
    tensors = structure.named(subject.vector.copy())
    module = subject.model.module(structure.sizes, tensors).eval()
    return module.requires_grad_(False)


def calibrated(
    own: NDArray[np.float64], of_shadows: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """How much surer a model is of each example than models that never saw it: offline LiRA
    (arXiv 2112.03570) with one variance for all examples, since a few models tell no variance of
    each."""
    return np.asarray(own - np.mean(of_shadows, axis=0))


def gradient_signals(
    subject: Subject, indices: Indices, update: Vector | None = None
) -> NDArray[np.float64]:
    """A row for each example: log norm of its loss's gradient by tensor and in all, over the
    weights that are not zero, and the largest entries of the last tensor's (a classifier's error
    by class). With an update: how far the update went down this gradient, by tensor and in all, as
    a cosine."""
    compute_alike()
    module = _module(subject).requires_grad_(True)
    named = subject.model.structure.named
    dead = {name: tensor == 0 for name, tensor in named(subject.vector).items() if not tensor.all()}
    steps = {} if update is None else named(update)
    lengths = {name: _square(step) for name, step in steps.items()}
    rows = []
    for index in indices:
        inputs, targets = subject.examples.batch(np.array([index]))
        module.zero_grad()
        loss = subject.objective.per_example(module(inputs), targets).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        gradient = {
            name: parameter.grad.numpy()  # type: ignore[union-attr]
            for name, parameter in module.named_parameters()
        }
        for name, where in dead.items():
            gradient[name][where] = 0
        squares = {name: _square(part) for name, part in gradient.items()}
        rows.append(_norms(gradient, squares))
        if steps:
            down = {name: -float(np.vdot(part, steps[name])) for name, part in gradient.items()}
            rows[-1] += _cosines(down, squares, lengths)
    return np.array(rows)


def _norms(gradient: dict[str, Vector], squares: dict[str, float]) -> list[float]:
    last = np.sort(np.abs(list(gradient.values())[-1].ravel()))[::-1][:LARGEST_ERRORS]
    found = [*squares.values(), sum(squares.values()), *(last.astype(np.float64) ** 2)]
    return [0.5 * log(value + TINY**2) for value in found]


def _cosines(
    down: dict[str, float], squares: dict[str, float], lengths: dict[str, float]
) -> list[float]:
    cosines = [down[name] / sqrt(squares[name] * lengths[name] + TINY**2) for name in down]
    whole = sum(squares.values()) * sum(lengths.values())
    return [*cosines, sum(down.values()) / sqrt(whole + TINY**2)]


def _square(values: Vector) -> float:
    return float(np.vdot(values, values))
