"""What a run counts and records of its clients, and what it never shows."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from commands.coordination import Access
from commands.execution import Invitation
from learning.training import TrainingError
from protocol.work import Tally
from tests.coordinator.rawclient import staged, until
from tests.rounds.conftest import TOKEN, Trainer, plain_mean
from worker.channel import Joined
from worker.worker import Place

T = TypeVar("T")


class Diverging(Trainer):
    async def run(self, work: Tally, function: Callable[..., T], *args: object) -> T:
        if getattr(args[0], "max_batches", None) is None:
            raise TrainingError("client 1, round 1: loss nan in batch 3; lower learning_rate 9")
        return await super().run(work, function, *args)


async def test_training_that_fails_is_counted_and_told(tmp_path: Path) -> None:
    async with staged(tmp_path, free=(), trainers={1: Diverging}, rounds=2) as stage:
        await stage.run()
        assert stage.failure is None
        said = "it reported: TrainingError: client 1, round 1: loss nan in batch 3; lower"
        for lost in stage.events("client_lost"):
            assert (lost.client, lost.notes["phase"]) == (1, "collect")
            assert str(lost.notes["reason"]).startswith(said)
        finished = stage.events("round_finished")
        assert [round_.notes["lost"] for round_ in finished] == [{"1": "collect"}] * 2
        assert [round_.notes["survivors"] for round_ in finished] == [[0, 2, 3]] * 2


async def test_the_failed_clients_are_not_in_the_sum(tmp_path: Path) -> None:
    async with staged(tmp_path, free=(), trainers={1: Diverging}) as stage:
        await stage.run()
        np.testing.assert_array_equal(stage.vector, plain_mean(stage, [0, 2, 3]))


async def test_no_secret_is_ever_recorded_or_shown(tmp_path: Path) -> None:
    """Token, credentials and session: not in events, not in the text of any object."""
    async with staged(tmp_path, rounds=2) as stage:
        raw = await stage.raw().join(3)
        await raw.ready()
        playing = asyncio.create_task(stage.run())
        await raw.play(stage.study)
        coordinator = stage.coordinator
        objects: list[object] = [
            coordinator,
            coordinator.admission,
            coordinator._around,
            coordinator._around.rule,
            coordinator.current_round,
            list(coordinator.registry),
            Access(TOKEN),
            Invitation(stage.url, TOKEN),
            Place(stage.url, TOKEN, "device"),
            Joined(raw.challenge.session, raw.welcome),
            raw.hello(),
            raw.welcome,
        ]
        await raw.socket.close()
        await playing
        shown = [text for each in objects for text in (repr(each), str(each))]
        recorded = [repr(item) for item in stage.scene.items]
        session = raw.challenge.session
        secrets = [TOKEN, repr(session)[2:-1], session.hex()]
        secrets += [client.secret for client in coordinator.registry]
        for secret in secrets:
            assert not any(secret in text for text in (*shown, *recorded))
        assert len(recorded) > 30


async def test_a_run_that_fails_dismisses_its_workers(tmp_path: Path) -> None:
    async with staged(tmp_path, free=(3,), join_s=3.0) as stage:
        await stage.run()
        assert stage.failure == "1 of 4 workers did not join within 3 s: places 3"
        assert not any(client.present for client in stage.coordinator.registry)


async def test_who_is_ready_is_counted_as_they_come_and_go(tmp_path: Path) -> None:
    async with staged(tmp_path, free=range(4)) as stage:
        status, registry = stage.coordinator.status, stage.coordinator.registry
        first, second = await stage.raw(1).join(), await stage.raw(2).join()
        assert (status.joined, registry.missing()) == (0, [0, 1, 2, 3])
        playing = asyncio.create_task(stage.run())
        await first.ready()
        await until(lambda: status.joined == 1)
        await second.ready()
        await until(lambda: status.joined == 2)
        assert registry.missing() == [2, 3]
        await second.socket.close()
        await until(lambda: status.joined == 1)
        assert registry.missing() == [1, 2, 3]
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
