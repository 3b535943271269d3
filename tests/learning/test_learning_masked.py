"""Training under a sparsity pattern, against the source's own procedure; gradients."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from learning.gradient import gradient
from learning.structure import Vector
from learning.task import TaskSettings
from learning.tasks import initial_vector, load_task
from learning.training import OPTIMISERS, TrainingJob, train

TASK = TaskSettings("digits")


def job(**changes: object) -> TrainingJob:
    plain = TrainingJob(TASK, 1, 1, initial_vector(TASK), {}, 1, 10, 0.05, "sgd", max_batches=3)
    return replace(plain, **changes)  # type: ignore[arg-type]


def pattern(share: float = 0.2) -> np.ndarray:
    return np.random.default_rng(5).random(load_task(TASK).structure.size) < share


def masking_weights(asked: TrainingJob) -> Vector:
    """The source's way: the weights are set to zero before each batch, gradients are left alone."""
    assert asked.kept is not None
    task = load_task(asked.task)
    vector = asked.vector * asked.kept
    module = task.model.module(task.structure.sizes, task.structure.named(vector))
    optimiser = OPTIMISERS[asked.optimiser](asked, module)
    order = np.random.default_rng([asked.seed, asked.round, asked.client])
    share = order.permutation(task.share(asked.client))
    for batch in range(asked.max_batches or 0):
        vector *= asked.kept
        indices = share[batch * asked.batch_size : (batch + 1) * asked.batch_size]
        inputs, labels = task.corpus.train.batch(indices)
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(module(inputs), labels).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return vector * asked.kept


@pytest.mark.parametrize(
    "chosen", [{}, {"momentum": 0.75}, {"optimiser": "adam", "learning_rate": 1e-3}]
)
def test_survivors_learn_what_they_would_in_the_source_and_the_others_stay_zero(
    chosen: dict[str, object],
) -> None:
    kept = pattern()
    asked = job(kept=kept, vector=initial_vector(TASK) * kept, **chosen)
    update = train(asked).update
    assert not update[~kept].any()
    assert np.count_nonzero(update[kept]) > 0.4 * np.count_nonzero(kept)
    np.testing.assert_array_equal(update, masking_weights(asked) - asked.vector)


def test_a_sub_model_is_trained_within_the_pattern() -> None:
    keep, kept = {"dense1": np.arange(60)}, pattern()
    vector = initial_vector(TASK) * kept
    whole = train(job(kept=kept, vector=vector, keep=keep)).update
    assert not whole[~kept].any()
    dense = load_task(TASK).structure.named(whole)["dense1.weight"]
    assert dense[:60].any()
    assert not dense[60:].any()


def test_the_gradient_is_that_of_the_mean_loss_over_the_clients_examples() -> None:
    task, vector = load_task(TASK), initial_vector(TASK)
    module = task.model.module(task.structure.sizes, task.structure.named(vector.copy()))
    inputs, labels = task.corpus.train.batch(task.share(1))
    torch.nn.functional.cross_entropy(module(inputs), labels).backward()  # type: ignore[no-untyped-call]
    found = {name: p.grad.numpy() for name, p in module.named_parameters() if p.grad is not None}
    result = gradient(job())
    np.testing.assert_allclose(result.update, task.structure.flatten(found), rtol=1e-3, atol=1e-6)
    assert result.examples == len(task.share(1))
    np.testing.assert_array_equal(vector, initial_vector(TASK))
