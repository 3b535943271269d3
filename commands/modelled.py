"""Training that is charged and not computed: what stands in for a job's result.

The update is zero, so that the model never changes and has no metric; times are those of the cost
model, as with computed training.
"""

from collections.abc import Callable
from concurrent.futures import Future
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from learning.evaluation import Evaluation, evaluate
from learning.structure import Vector
from learning.task import TaskSettings
from learning.tasks import load_task
from learning.training import TrainingJob, TrainingResult, planned, train
from netem.virtual.work import here_and_now

T = TypeVar("T")
NAN = float("nan")
"""A figure that was not computed."""


def _trained(job: TrainingJob) -> TrainingResult:
    task = load_task(job.task)
    examples = task.examples(job.client)
    _, batches = planned(job, examples)
    return TrainingResult(_nothing(task.structure.size), NAN, examples, batches)


@lru_cache(maxsize=8)
def _nothing(size: int) -> Vector:
    """One update for all clients: nobody may write into it."""
    update = np.zeros(size, np.float32)
    update.flags.writeable = False
    return update


def _judged(settings: TaskSettings, vector: Vector) -> Evaluation:
    return Evaluation(NAN, NAN, ())


_STAND_INS: dict[Callable[..., Any], Callable[..., Any]] = {train: _trained, evaluate: _judged}
"""Gradients have none: what is pruned by them must be computed."""


def uncomputed(
    deadline_s: float,
    function: Callable[..., T],
    /,
    *args: Any,  # noqa: ANN401
) -> "Future[T]":
    """A `netem.virtual.work.Submit` for the jobs of `learning`."""
    return here_and_now(deadline_s, _STAND_INS[function], *args)
