"""Single updates kept of one round: what each client sent, over whatever sparsity pattern; under
masks nobody is shown any."""

from pathlib import Path

import numpy as np

from commands.keeping import UpdateKeeper
from commands.model import FederatedModel
from coordinator.engine import Coordinator
from runs.checkpoint import Checkpoint, write_checkpoint
from runs.disk import Disk
from runs.updates import kept_rounds, read_round
from tests.rounds.conftest import Play, update_of


def keeping(path: Path, rounds: set[int], coordinator: Coordinator) -> None:
    def keep(name: str, file: Checkpoint) -> None:
        write_checkpoint(path / name, file, Disk())

    model = coordinator.model
    assert isinstance(model, FederatedModel)
    keeper = UpdateKeeper(frozenset(rounds), model, keep)
    coordinator.show_to(lambda client, words: keeper.show(coordinator.status.round, client, words))


async def test_the_updates_of_a_round_are_those_sent(play: Play, tmp_path: Path) -> None:
    played = await play(
        clients=3,
        rounds=3,
        strategy="fedsparsify-global",
        aggregation="plain",
        alter=lambda coordinator: keeping(tmp_path, {1, 3}, coordinator),
    )
    assert played.failure is None
    assert kept_rounds(tmp_path) == (1, 3)
    first, last = (read_round(tmp_path, round_) for round_ in (1, 3))
    np.testing.assert_array_equal(first.model, played.start)
    survivors = last.model != 0
    assert 0 < survivors.sum() < 0.5 * survivors.size
    for kept, round_, where in ((first, 1, 1), (last, 3, survivors)):
        assert sorted(kept.updates) == [0, 1, 2]
        for client, update in kept.updates.items():
            sent = update_of(client, round_, update.size) * where
            np.testing.assert_allclose(update, sent, atol=1e-5)  # fixed point
    examples = [played.study.task.examples(client) for client in range(3)]
    summed = sum(
        n * u.astype(np.float64) for n, u in zip(examples, last.updates.values(), strict=True)
    )
    after = last.model + summed / sum(examples)
    alive = played.vector != 0
    np.testing.assert_allclose(played.vector[alive], after[alive], atol=1e-6)


async def test_under_masks_nothing_is_shown(play: Play, tmp_path: Path) -> None:
    played = await play(
        clients=3,
        aggregation="secagg",
        alter=lambda coordinator: keeping(tmp_path, {1}, coordinator),
    )
    assert played.failure is None
    assert kept_rounds(tmp_path) == ()
