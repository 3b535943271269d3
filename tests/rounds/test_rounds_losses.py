"""Workers lost at each phase: the sum under masks is the survivors' plain sum, to the last bit."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from coordinator.engine import Coordinator
from tests.rounds.conftest import Leaving, Play, Played, plain_mean

EVERY_STEP = [
    # step at which client 2 vanishes, phase in which it is lost, whether its vector is in the sum
    ("begin keys", "keys", False),
    ("advertise", "keys", False),
    ("share", "shares", False),
    ("receive_delivery", "collect", False),
    ("begin download", "collect", False),
    ("begin fit", "collect", False),
    ("mask", "collect", False),
    ("begin upload", "collect", False),
    ("begin unmask", "unmask", True),
]


@pytest.mark.parametrize(("step", "phase", "in_sum"), EVERY_STEP)
async def test_a_worker_lost_at_a_step(play: Play, step: str, phase: str, in_sum: bool) -> None:
    played = await play(clients=5, leaving=[Leaving(2, 1, step)], threshold=3)
    check_sum_without_2(played, phase, in_sum)


@pytest.mark.parametrize(
    ("step", "phase", "in_sum"),
    [
        *(row for row in EVERY_STEP if row[0] != "mask"),
        ("expand", "collect", False),
        ("begin mask", "collect", False),
    ],
)
async def test_the_same_with_masks_expanded_ahead(
    play: Play, step: str, phase: str, in_sum: bool
) -> None:
    played = await play(clients=5, leaving=[Leaving(2, 1, step)], threshold=3, precompute=True)
    check_sum_without_2(played, phase, in_sum)
    assert {event.client for event in played.events("masks_expanded")} >= {0, 1, 3, 4}


async def test_masks_are_expanded_ahead_against_an_active_coordinator_too(play: Play) -> None:
    played = await play(
        clients=5, threshold=4, adversary="active", corrupt=0.2, rounds=2, precompute=True
    )
    expanded = sorted((event.round, event.client) for event in played.events("masks_expanded"))
    assert expanded == [(round_, client) for round_ in (1, 2) for client in range(5)]
    assert [event.notes["lost"] for event in played.events("round_finished")] == [{}, {}]
    ahead = played.vector
    again = await play(clients=5, threshold=4, adversary="active", corrupt=0.2, rounds=2)
    np.testing.assert_array_equal(ahead, again.vector)
    assert again.events("masks_expanded") == []


@pytest.mark.parametrize(
    ("step", "phase", "in_sum"),
    [
        *EVERY_STEP[:-1],
        ("begin consistency", "consistency", True),
        ("begin unmask", "unmask", True),
    ],
)
async def test_the_same_against_an_active_coordinator(
    play: Play, step: str, phase: str, in_sum: bool
) -> None:
    played = await play(
        clients=5, leaving=[Leaving(2, 1, step)], threshold=4, adversary="active", corrupt=0.2
    )
    check_sum_without_2(played, phase, in_sum)


@pytest.mark.parametrize(("step", "phase", "in_sum"), EVERY_STEP)
async def test_the_same_with_a_few_neighbours_each(
    play: Play, step: str, phase: str, in_sum: bool
) -> None:
    played = await play(
        clients=8,
        leaving=[Leaving(2, 1, step)],
        aggregation="secagg+",
        neighbours=6,
        threshold=3,
        corrupt=0.0,
        lost=0.125,
    )
    check_sum_without_2(played, phase, in_sum)


@pytest.mark.parametrize(
    ("step", "phase", "in_sum"),
    [
        *EVERY_STEP[:-1],
        ("begin consistency", "consistency", True),
        ("begin unmask", "unmask", True),
    ],
)
async def test_the_same_with_neighbours_of_ones_own_choice(
    play: Play, step: str, phase: str, in_sum: bool
) -> None:
    """`secagg+` against an active coordinator."""
    played = await play(
        clients=8,
        leaving=[Leaving(2, 1, step)],
        aggregation="secagg+",
        adversary="active",
        corrupt=0.1,
        lost=0.125,
    )
    check_sum_without_2(played, phase, in_sum)
    assert played.study.degree(8) == (3, 4)


class TwoFaced:
    """A model that the third to ask for it gets otherwise than all the others."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401
        self.model = model
        self.asked = 0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self.model, name)

    def portion(self, instruction: bytes) -> Any:  # noqa: ANN401
        self.asked += 1
        whole = self.model.portion(instruction)
        vector = -whole.vector if self.asked == 3 else whole.vector
        kept = {"words": whole.words, "spread": whole.spread, "tail": whole.tail}
        return SimpleNamespace(vector=vector, **kept)


@pytest.mark.parametrize("aggregation", ["secagg", "secagg+"])
async def test_who_is_given_another_model_than_the_rest_uploads_nothing(
    play: Play, aggregation: str
) -> None:
    """Given a model on which nothing is learnt, all others would leave its update bare."""

    def lie(coordinator: Coordinator) -> None:
        around = coordinator._around
        coordinator._around = replace(around, model=TwoFaced(around.model))

    how = {"corrupt": 0.1, "lost": 0.125} if aggregation == "secagg+" else {"threshold": 6}
    played = await play(clients=8, alter=lie, aggregation=aggregation, adversary="active", **how)
    check_sum_without_2(played, "collect", in_sum=False)
    (lost,) = played.events("client_lost")
    assert "not those that the plan names" in str(lost.notes["reason"])


def check_sum_without_2(played: Played, phase: str, in_sum: bool) -> None:
    clients = range(played.study.clients)
    survivors = [client for client in clients if in_sum or client != 2]
    (finished,) = played.events("round_finished")
    assert finished.notes["survivors"] == survivors
    if not in_sum:
        assert finished.notes["lost"] == {"2": phase}
        (lost,) = played.events("client_lost")
        assert (lost.client, lost.notes["phase"]) == (2, phase)
    np.testing.assert_array_equal(played.vector, plain_mean(played, survivors))


async def test_workers_lost_in_every_phase_of_one_round(play: Play) -> None:
    leaving = [
        Leaving(0, 1, "advertise"),
        Leaving(3, 1, "share"),
        Leaving(5, 1, "begin fit"),
        Leaving(6, 1, "begin unmask"),
    ]
    played = await play(clients=8, leaving=leaving, threshold=4)
    (finished,) = played.events("round_finished")
    assert finished.notes["survivors"] == [1, 2, 4, 6, 7]
    np.testing.assert_array_equal(played.vector, plain_mean(played, [1, 2, 4, 6, 7]))


async def test_the_run_goes_on_without_the_lost(play: Play) -> None:
    played = await play(clients=5, rounds=2, threshold=3, leaving=[Leaving(1, 1, "begin fit")])
    first, second = played.events("round_finished")
    assert first.notes["participants"] == [0, 1, 2, 3, 4]
    assert second.notes["participants"] == [0, 2, 3, 4]
    assert second.notes["lost"] == {}


async def test_too_few_survivors_end_the_run_with_a_reason_and_leave_the_model(play: Play) -> None:
    leaving = [Leaving(client, 1, "begin fit") for client in (0, 1, 2)]
    played = await play(clients=5, leaving=leaving, threshold=3)
    assert played.failure is not None
    assert played.failure.startswith("round 1: 2 clients are left after phase vectors")
    assert "0 in collect, 1 in collect, 2 in collect" in played.failure
    np.testing.assert_array_equal(played.vector, played.start)
    assert played.events("round_finished") == []


async def test_a_fleet_that_does_not_assemble(play: Play) -> None:
    played = await play(clients=3, absent=[1], join_s=3.0)
    assert played.failure == "1 of 3 workers did not join within 3 s: places 1"


async def test_plain_and_secure_aggregation_give_the_same_bits(play: Play) -> None:
    masked = await play(clients=4, rounds=2)
    plain = await play(clients=4, rounds=2, aggregation="plain")
    np.testing.assert_array_equal(masked.vector, plain.vector)
    assert not np.array_equal(masked.vector, masked.start)


async def test_rounding_by_chance_and_a_ring_that_fits_give_the_same_bits_masked_or_not(
    play: Play,
) -> None:
    settings = {"rounding": "stochastic", "ring_bits": None}
    masked = await play(clients=4, rounds=2, **settings)
    plain = await play(clients=4, rounds=2, aggregation="plain", **settings)
    nearest = await play(clients=4, rounds=2, ring_bits=None)
    assert masked.study.fixed_point.ring_bits == 24
    np.testing.assert_array_equal(masked.vector, plain.vector)
    assert not np.array_equal(masked.vector, nearest.vector)
    step = masked.study.fixed_point.step
    assert np.abs(masked.vector - nearest.vector).max() < 2 * 1.5 * 4 * step
