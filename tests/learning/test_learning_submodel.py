"""Sub-models: selection, expansion, and that training one is training the full model masked."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from learning.models import femnist_cnn
from learning.structure import Keep, Structure, StructureError
from learning.submodel import SubModel
from learning.task import TaskSettings
from learning.tasks import load_task
from learning.training import TrainingJob, train

TINY = femnist_cnn(3, (2, 3, 4))


@st.composite
def keeps(draw: st.DrawFn, structure: Structure) -> Keep:
    keep = {}
    for group, size in structure.sizes.items():
        kept = draw(st.sets(st.integers(0, size - 1), min_size=1))
        if draw(st.booleans()):
            keep[group] = np.array(sorted(kept), np.intp)
    return keep


@settings(max_examples=40)
@given(keeps(TINY.structure))
def test_extract_and_expand_are_inverse_on_what_is_kept(keep: Keep) -> None:
    sub = SubModel(TINY.structure, keep)
    vector = TINY.initial_vector(0)
    small = sub.extract(vector)
    full = sub.expand(small)
    assert np.array_equal(full[sub.mask], vector[sub.mask])
    assert not full[~sub.mask].any()
    module = TINY.module(sub.widths, sub.named(small))
    assert sum(p.numel() for p in module.parameters()) == sub.size
    assert module(torch.zeros(2, 1, 28, 28)).shape == (2, 3)


def test_selection_takes_all_positions_of_a_channel_after_flatten() -> None:
    sub = SubModel(TINY.structure, {"conv2": np.array([0, 2], np.intp)})
    vector = np.arange(TINY.structure.size, dtype=np.float32)
    whole = TINY.structure.named(vector)["dense1.weight"]
    part = sub.named(sub.extract(vector))["dense1.weight"]
    assert np.array_equal(part, whole[:, [*range(49), *range(98, 147)]])


def test_a_full_keep_set_is_the_full_model() -> None:
    sub = SubModel(TINY.structure, {})
    assert sub.mask.all()
    assert sub.size == TINY.structure.size


def test_vectors_of_the_wrong_length_are_refused() -> None:
    sub = SubModel(TINY.structure, {"conv1": np.array([0], np.intp)})
    for function in (sub.expand, sub.named):
        with pytest.raises(StructureError, match="expected"):
            function(np.zeros(TINY.structure.size, np.float32))


@pytest.mark.parametrize(("optimiser", "momentum"), [("sgd", 0.0), ("sgd", 0.9), ("adam", 0.0)])
def test_training_it_is_training_the_full_model_masked(optimiser: str, momentum: float) -> None:
    task = load_task(TaskSettings("digits"))
    generator = np.random.default_rng(3)
    keep = {
        group: np.sort(generator.choice(size, size // 2, replace=False))
        for group, size in task.structure.sizes.items()
    }
    start = task.model.initial_vector(1)
    rate = 0.001 if optimiser == "adam" else 0.05
    job = TrainingJob(
        task.settings, 4, 2, start, keep, 1, 10, rate, optimiser, momentum, 9, max_batches=5
    )
    mask = SubModel(task.structure, keep).mask
    masked = np.where(mask, start, np.float32(0))
    module = task.model.module(task.structure.sizes, task.structure.named(masked))
    grads = task.structure.named(mask.astype(np.float32))
    stepper: torch.optim.Optimizer = torch.optim.SGD(module.parameters(), rate, momentum)
    if optimiser == "adam":
        stepper = torch.optim.Adam(module.parameters(), rate)
    order = np.random.default_rng([9, 2, 4]).permutation(task.share(4))
    for batch in np.split(order[:50], 5):
        inputs, labels = task.corpus.train.batch(batch)
        stepper.zero_grad()
        nn.functional.cross_entropy(module(inputs), labels).backward()  # type: ignore[no-untyped-call]
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None
            parameter.grad *= torch.from_numpy(grads[name])
        stepper.step()
    expected = masked - np.where(mask, start, np.float32(0))
    update = train(job).update
    assert np.abs(update[mask]).max() > 1e-3
    np.testing.assert_allclose(update, expected, atol=2e-5 if optimiser == "sgd" else 1e-3)
