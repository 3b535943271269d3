"""Local training, its cost, and evaluation."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from learning.evaluation import evaluate
from learning.submodel import SubModel
from learning.task import TaskError, TaskSettings
from learning.tasks import initial_vector, load_task
from learning.training import TrainingError, TrainingJob, train, work
from protocol.work import Operation

TASK = TaskSettings("digits")
KEEP = {"conv1": np.arange(0, 16, 2), "dense1": np.arange(60)}


def job(**changes: object) -> TrainingJob:
    plain = TrainingJob(TASK, 1, 1, initial_vector(TASK), {}, 1, 10, 0.05, "sgd", max_batches=2)
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_the_same_job_gives_the_same_bits_also_after_a_pickle() -> None:
    once, again = train(job()), train(pickle.loads(pickle.dumps(job())))
    assert np.array_equal(once.update, again.update)
    assert once.loss == again.loss


@pytest.mark.parametrize("change", [{"seed": 1}, {"round": 2}, {"client": 2}])
def test_seed_round_and_client_each_change_it(change: dict[str, object]) -> None:
    assert not np.array_equal(train(job()).update, train(job(**change)).update)


def test_the_global_model_is_not_touched() -> None:
    vector = initial_vector(TASK)
    train(job(vector=vector))
    assert np.array_equal(vector, initial_vector(TASK))


def test_update_is_zero_where_pruned_and_moves_elsewhere() -> None:
    update = train(job(keep=KEEP)).update
    mask = SubModel(load_task(TASK).structure, KEEP).mask
    assert update.dtype == np.float32
    assert not update[~mask].any()
    assert np.count_nonzero(update[mask]) > 0.4 * np.count_nonzero(mask)


@pytest.mark.parametrize(
    ("epochs", "batch_size", "max_batches", "samples", "batches"),
    [
        (1, 10, None, 72, 8),
        (2, 10, None, 144, 16),
        (1, 100, None, 72, 1),
        (2, 10, 3, 30, 3),
        (2, 10, 8, 72, 8),
        (2, 10, 9, 82, 9),
        (1, 10, 99, 72, 8),
    ],
)
def test_work_is_known_before_and_is_what_training_does(
    epochs: int, batch_size: int, max_batches: int | None, samples: int, batches: int
) -> None:
    wanted = job(epochs=epochs, batch_size=batch_size, max_batches=max_batches, keep=KEEP)
    structure = load_task(TASK).structure
    macs = structure.forward_macs({"conv1": 8, "dense1": 60})
    assert work(wanted) == {
        Operation.TRAINING_MAC: 3 * macs * samples,
        Operation.TRAINING_BATCH: batches,
    }
    result = train(wanted)
    assert (result.batches, result.examples) == (batches, 72)


def test_training_lowers_the_loss() -> None:
    """Eight epochs on one client's own 72 examples, at the task's own rate."""
    defaults = load_task(TASK).defaults
    long = job(max_batches=None, epochs=8, learning_rate=defaults.learning_rate)
    first, last = train(job(max_batches=1)), train(long)
    again = train(replace(long, vector=long.vector + last.update, epochs=1))
    assert again.loss < 0.5 * first.loss


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"learning_rate": 1e9, "max_batches": None}, r"loss \w+ in batch \d; lower"),
        ({"learning_rate": float("nan"), "max_batches": 1}, "weights that are not finite"),
        ({"optimiser": "magic"}, "optimiser must be one of"),
        ({"batch_size": 0}, "batch_size"),
        ({"epochs": 0}, "epochs"),
        ({"max_batches": 0}, "max_batches"),
        ({"learning_rate": -1.0}, "learning_rate"),
    ],
)
def test_no_half_trained_weights(changes: dict[str, object], rule: str) -> None:
    with pytest.raises(TrainingError, match=rule) as error:
        train(job(**changes))
    assert "\n" not in str(error.value)
    assert pickle.loads(pickle.dumps(error.value)).args == error.value.args


def test_a_client_that_does_not_exist() -> None:
    with pytest.raises(TaskError, match="no client 20"):
        train(job(client=20))


def test_evaluation_of_an_untrained_model_is_poor_and_alike_for_all() -> None:
    result = evaluate(TASK, initial_vector(TASK))
    assert 0.0 <= result.metric < 0.3
    assert result.loss == pytest.approx(np.log(10), rel=0.05)
    assert result.per_client == pytest.approx([result.metric] * 20)


def test_clients_are_judged_on_their_own_mix_of_labels() -> None:
    """A model that always answers 3 is right in each client's share of threes."""
    settings = TaskSettings("digits", partition="shards")
    task = load_task(settings)
    vector = np.zeros(task.structure.size, np.float32)
    task.structure.named(vector)["output.bias"][3] = 1.0
    result = evaluate(settings, vector)
    labels = task.corpus.train.labels
    mine = [float(np.mean(labels[share] == 3)) for share in task.shares]
    assert result.metric == pytest.approx(np.mean(task.corpus.test.labels == 3))
    assert result.per_client == pytest.approx(mine)
    assert max(mine) > 0.4


def test_a_model_that_diverged_is_reported_as_such() -> None:
    vector = np.full(load_task(TASK).structure.size, np.nan, np.float32)
    result = evaluate(TASK, vector)
    assert np.isnan(result.loss)
    assert result.metric < 0.2
