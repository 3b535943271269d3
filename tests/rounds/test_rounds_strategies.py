"""Strategies in whole rounds: stragglers find themselves, and the mean over what each client
trained is exact although nobody sees who pruned what."""

import numpy as np
import pytest

from learning.submodel import SubModel
from protocol.telemetry import Span
from tests.rounds.conftest import Play, Played, update_of


def fits(played: Played, round_: int) -> dict[int, Span]:
    spans = played.spans("fit")
    return {span.client: span for span in spans if span.round == round_ and span.client is not None}


def number(span: Span, key: str) -> float:
    value = span.notes[key]
    assert isinstance(value, float)
    return value


@pytest.mark.parametrize("evidence", ["local", "global"])
@pytest.mark.parametrize("aggregation", ["secagg", "plain"])
async def test_the_straggler_prunes_itself(play: Play, evidence: str, aggregation: str) -> None:
    played = await play(
        clients=5,
        rounds=3,
        strategy="clip",
        slow=[4],
        warmup_rounds=2,
        evidence=evidence,
        aggregation=aggregation,
    )
    for round_ in (1, 2):
        assert all(span.notes["keep_ratio"] == 1.0 for span in fits(played, round_).values())
    third = fits(played, 3)
    assert {c for c, span in third.items() if span.notes["straggler"]} == {4}
    keep_ratio, target_s, predicted_s = (
        number(third[4], key) for key in ("keep_ratio", "target_s", "predicted_s")
    )
    assert 0.5 < keep_ratio < 0.65  # a third of the work: about p squared
    assert 0.95 * target_s < predicted_s <= target_s
    assert third[4].end_s - third[4].start_s == pytest.approx(predicted_s, rel=0.02)
    assert all(third[client].notes["keep_ratio"] == 1.0 for client in range(4))


async def test_nobody_prunes_without_stragglers(play: Play) -> None:
    played = await play(clients=5, rounds=3, strategy="clip-network", straggler_margin=1e6)
    assert all(span.notes["keep_ratio"] == 1.0 for span in played.spans("fit"))


@pytest.mark.parametrize("strategy", ["clip", "random-dropout", "ordered-dropout"])
async def test_the_mean_is_over_those_who_trained_a_coordinate(play: Play, strategy: str) -> None:
    """Checked against each client's own keep set, which only this test knows of."""
    played = await play(clients=5, rounds=3, strategy=strategy, slow=[4], warmup_rounds=2)
    check_mean_of_round_3(played)


async def test_fluid_sends_its_straggler_a_part_of_the_model_and_takes_that_back(
    play: Play,
) -> None:
    """Votes are taken in the round after warm-up, and the sub-model is trained in the next."""
    played = await play(
        clients=5, rounds=3, strategy="fluid", aggregation="plain", late=[4], warmup_rounds=1
    )
    third = fits(played, 3)
    assert {c for c, span in third.items() if span.notes["straggler"]} == {4}
    assert number(third[4], "keep_ratio") == 0.5
    sent = {e.client: e.notes["bytes"] for e in played.events("upload_received") if e.round == 3}
    part = SubModel(played.study.task.structure, played.scene.trained[3, 4][1])
    assert sent[4] == 4 * (played.study.words - played.start.size + part.size)
    assert sent[0] == 4 * played.study.words
    check_mean_of_round_3(played)


def check_mean_of_round_3(played: Played) -> None:
    structure, size = played.study.task.structure, played.start.size
    summed, weights = np.zeros(size), np.zeros(size)
    for client in range(5):
        _, keep = played.scene.trained[3, client]
        mask = SubModel(structure, keep).mask
        weight = played.study.task.examples(client)
        summed += weight * update_of(client, 3, size) * mask
        weights += weight * mask
    mean = np.divide(summed, weights, out=np.zeros(size), where=weights > 0)
    step = played.study.fixed_point.step
    before, _ = played.scene.trained[3, 0]
    np.testing.assert_allclose(played.vector - before, mean, atol=step + 1e-7)
    assert 0 < np.count_nonzero(weights < weights.max()) < size


async def test_exclude_leaves_the_slowest_out_by_its_arrival(play: Play) -> None:
    played = await play(clients=5, rounds=3, strategy="exclude", warmup_rounds=1, late=[3])
    third = played.events("round_finished")[2]
    assert third.notes["participants"] == [0, 1, 2, 4]
    left_out = played.events("client_left_out")
    assert {event.client for event in left_out} == {3}


@pytest.mark.parametrize("aggregation", ["secagg", "plain"])
async def test_a_deadline_leaves_the_late_out_of_the_sum_but_not_of_the_next_round(
    play: Play, aggregation: str
) -> None:
    """Client 3 trains until the others are in; the deadline has then passed, and enough are."""
    played = await play(
        clients=5,
        rounds=2,
        aggregation=aggregation,
        threshold=3,
        strategy="deadline",
        warmup_rounds=1,
        deadline_s=1e-6,
        late=[3],
    )
    first, second = played.events("round_finished")
    assert first.notes["survivors"] == [0, 1, 2, 3, 4]
    assert second.notes["participants"] == [0, 1, 2, 3, 4]
    assert second.notes["lost"] == {"3": "collect"}
    (lost,) = played.events("client_lost")
    assert lost.notes["reason"] == "later than the round's deadline of 1e-06 s"
    assert played.failure is None
