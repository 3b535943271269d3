"""Sparse training in whole rounds: the secure sum over the surviving coordinates is the plain one's
to the bit, for whoever sums, and nothing else travels."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from learning.sparsity import Pruner, Schedule
from learning.submodel import SubModel
from protocol.pattern import PatternName
from tests.rounds.conftest import Leaving, Play, Played, update_of

ROUNDS = 4
SUMS = [
    ("plain", "semi-honest"),
    ("secagg", "semi-honest"),
    ("secagg+", "semi-honest"),
    ("secagg", "active"),
]


def summed(played: Played, kept: Any, round_: int, sent: Any) -> Any:  # noqa: ANN401
    """The mean of what everybody sends of the kept coordinates, in fixed point."""
    study, clients = played.study, range(played.study.clients)
    numbers = study.fixed_point
    total = np.zeros(int(kept.sum()), numbers.word)
    for client in clients:
        words = np.zeros(total.size, numbers.word)
        numbers.quantise(sent(client, round_)[kept], study.task.examples(client), words)
        total += words
    weight = sum(study.task.examples(client) for client in clients)
    mean = np.zeros(kept.size, np.float32)
    mean[kept] = numbers.dequantise(total) / weight
    return mean


def globally_pruned(played: Played) -> tuple[Any, list[int]]:
    """The model after all rounds, and how many coordinates travelled in each."""
    model, kept = played.start, np.ones(played.start.size, bool)
    schedule, pruner = Schedule(0.95, ROUNDS), Pruner(played.study.task.structure)
    travelled, size = [], model.size
    for round_ in range(1, ROUNDS + 1):
        travelled.append(int(kept.sum()))
        mean = summed(played, kept, round_, lambda c, r: update_of(c, r, size))
        kept = pruner.by_magnitude(model + mean, kept, schedule.at(round_))
        model = ((model + mean) * kept).astype(np.float32)
    return model, travelled


@pytest.mark.parametrize(("aggregation", "adversary"), SUMS)
async def test_the_sum_over_the_survivors_is_the_plain_masked_mean_to_the_bit(
    play: Play, aggregation: str, adversary: str
) -> None:
    played = await play(
        clients=8,
        rounds=ROUNDS,
        strategy="fedsparsify-global",
        aggregation=aggregation,
        adversary=adversary,
        lost=0.125,
    )
    assert played.failure is None
    expected, travelled = globally_pruned(played)
    np.testing.assert_array_equal(played.vector, expected)
    for round_, values in enumerate(travelled, start=1):
        sizes = {e.notes["bytes"] for e in played.events("upload_received") if e.round == round_}
        assert sizes == {4 * (values + 2)}  # the client's weight and its clipped share go with them
    notes = [event.notes for event in played.events("round_finished")]
    assert [note["surviving"] for note in notes] == travelled
    assert [note["values_up"] for note in notes] == [8 * values for values in travelled]
    assert notes[-1]["sparsity"] == pytest.approx(0.95, abs=1e-5)


@pytest.mark.parametrize("precompute", [False, True])
async def test_a_client_lost_in_the_middle_leaves_the_survivors_sum(
    play: Play, precompute: bool
) -> None:
    """Its masks, over the surviving coordinates too, are taken off."""
    played = await play(
        clients=5,
        rounds=3,
        strategy="fedsparsify-global",
        leaving=[Leaving(2, 3, "begin upload")],
        precompute=precompute,
    )
    assert played.failure is None
    last = played.events("round_finished")[-1]
    assert last.notes["lost"] == {"2": "collect"}
    assert last.notes["values_up"] == 4 * int(str(last.notes["surviving"]))
    before, after = played.scene.trained[3, 0][0], played.vector
    moved = after[after != 0] - before[after != 0]
    assert np.abs(moved).max() <= 0.05 + 1e-6
    assert np.abs(moved).max() > 1e-3


@pytest.mark.parametrize("vote_mean", ["zeros", "voters"])
@pytest.mark.parametrize("aggregation", ["plain", "secagg"])
async def test_votes_are_summed_as_secretly_as_updates(
    play: Play, aggregation: str, vote_mean: str
) -> None:
    played = await play(
        clients=5,
        rounds=3,
        strategy="fedsparsify-local",
        aggregation=aggregation,
        vote_mean=vote_mean,
    )
    assert played.failure is None
    expected = locally_pruned(played, 3, vote_mean == "voters")
    # The mean over voters is of float64 quotients, rounded once, as here: equal but for that.
    np.testing.assert_allclose(played.vector, expected, atol=1e-7)
    np.testing.assert_array_equal(played.vector != 0, expected != 0)
    notes = [event.notes for event in played.events("round_finished")]
    assert notes[0]["values_up"] == 5 * played.start.size
    assert int(str(notes[1]["values_up"])) < 5 * int(str(notes[1]["surviving"]))


def locally_pruned(played: Played, rounds: int, voters_only: bool) -> Any:  # noqa: ANN401
    """As the source writes it: prune, vote, take the mean of the pruned models."""
    study = played.study
    model, kept = played.start, np.ones(played.start.size, bool)
    schedule, pruner = Schedule(0.95, rounds), Pruner(study.task.structure)
    clients = range(study.clients)
    examples = np.array([study.task.examples(client) for client in clients])
    for round_ in range(1, rounds + 1):
        own: dict[int, Any] = {}
        sent: dict[int, Any] = {}
        for client in clients:
            update = update_of(client, round_, kept.size) * kept
            own[client] = pruner.by_magnitude(model + update, kept, schedule.at(round_))
            sent[client] = np.where(own[client], update, 0 if voters_only else -model)
        mean = summed(played, kept, round_, lambda c, r, sent=sent: sent[c].astype(np.float32))
        if voters_only:
            voting = sum(examples[c] * own[c] for c in clients)
            mean = np.where(voting > 0, mean * examples.sum() / np.maximum(voting, 1), 0)
        kept = kept & (sum(own[c].astype(int) for c in clients) >= len(clients) // 2)
        model = ((model + mean) * kept).astype(np.float32)
    return model


async def test_stragglers_prune_neurons_within_the_surviving_weights(play: Play) -> None:
    """Where a straggler left a neuron out, the mean is over the others."""
    played = await play(
        clients=5,
        rounds=2,
        strategy="clip+fedsparsify-global",
        slow=[4],
        warmup_rounds=1,
        sparsity_start=0,
    )
    second = {s.client: s for s in played.spans("fit") if s.round == 2}
    assert {c for c, span in second.items() if span.notes["straggler"]} == {4}
    assert second[4].notes["keep_ratio"] != 1.0
    model, _ = played.scene.trained[2, 0]
    assert 0.1 * model.size < np.count_nonzero(model) < 0.2 * model.size
    size = played.start.size
    total, weights = np.zeros(size), np.zeros(size)
    for client in range(5):
        _, keep = played.scene.trained[2, client]
        mask = SubModel(played.study.task.structure, keep).mask
        weight = played.study.task.examples(client)
        total += weight * update_of(client, 2, size) * mask
        weights += weight * mask
    after = played.vector != 0
    assert np.count_nonzero(after) <= 0.06 * size
    mean = np.divide(total, weights, out=np.zeros(size), where=weights > 0)
    step = played.study.fixed_point.step
    np.testing.assert_allclose(played.vector[after], (model + mean)[after], atol=step + 1e-6)
    assert 0 < np.count_nonzero(weights[after] < weights.max()) < np.count_nonzero(after)


async def test_snip_spends_its_first_round_on_a_gradient(play: Play) -> None:
    """The double gives the same for a gradient as for an update: the model does not move."""
    played = await play(clients=5, rounds=2, strategy="snip", sparsity=0.9)
    first, _ = played.scene.trained[2, 0]
    kept = first != 0
    np.testing.assert_array_equal(first[kept], played.start[kept])
    everything = np.ones(kept.size, bool)
    mean = summed(played, everything, 1, lambda c, r: update_of(c, r, kept.size))
    scores = np.abs(played.start * mean)
    assert scores[kept].min() >= scores[~kept].max()
    assert np.count_nonzero(kept) == pytest.approx(0.1 * kept.size, abs=2)
    assert (played.vector != 0).sum() <= kept.sum()


class Misnaming:
    """A model whose pattern is said to be another one."""

    def __init__(self, model: Any, name: PatternName) -> None:  # noqa: ANN401
        self.model = model
        self.pattern = name

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self.model, name)


@pytest.mark.parametrize(
    ("strategy", "name", "reason"),
    [
        ("none", PatternName(1, bytes(32), 9), "none takes no pattern"),
        ("fedsparsify-global", PatternName(1, bytes(32), 0), "the plan names no coordinates"),
        ("fedsparsify-global", PatternName(1, bytes(32), 403_731), "or more than the model has"),
        ("fedsparsify-global", PatternName(1, bytes(32), 9), "model: 1614920 bytes, not 36"),
        ("fedsparsify-global", PatternName(1, bytes(32), 403_730), "not the one that the plan"),
    ],
)
async def test_nobody_trains_under_a_pattern_that_it_cannot_check(
    play: Play, strategy: str, name: PatternName, reason: str
) -> None:
    def lie(coordinator: Any) -> None:  # noqa: ANN401
        around = coordinator._around
        coordinator._around = replace(around, model=Misnaming(around.model, name))

    played = await play(clients=3, rounds=2, strategy=strategy, alter=lie)
    assert played.failure is not None
    assert all(reason in str(event.notes["reason"]) for event in played.events("client_lost"))
    assert {event.client for event in played.events("client_lost")} == {0, 1, 2}
    assert [round_ for round_, _ in played.scene.trained if round_ > 0] == []
