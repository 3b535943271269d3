"""From a whole upload to the sum: what cannot be added, or is no client's, shows in no model."""

import asyncio
import errno
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from commands.study import Study
from coordinator.uploads import Spool, SpoolRoom
from protocol import messages as m
from protocol.checksum import UploadChecksum
from protocol.secagg.packing import pack, packed_size
from tests.coordinator.rawclient import RawClient, Stage, staged
from tests.rounds.conftest import update_of


class Refusing(SpoolRoom):
    """One vector cannot be read back, as where a mapping is refused."""

    def __init__(self, study: Study, failing: int) -> None:
        super().__init__(packed_size(study.words, study.fixed_point.ring_bits), 2**27)
        self.failing = failing
        self.read = 0

    @contextmanager
    def place(self) -> Iterator[Spool]:
        with super().place() as spool:
            yield Unreadable(self, spool)


class Unreadable:
    def __init__(self, room: Refusing, spool: Spool) -> None:
        self._room = room
        self.room, self.filled, self._whole = spool.room, spool.filled, spool.whole

    def whole(self) -> AbstractContextManager[memoryview]:
        self._room.read += 1
        if self._room.read == self._room.failing:
            raise OSError(errno.ENOMEM, "no memory to map it")
        return self._whole()


@pytest.mark.parametrize("failing", [1, 4])
async def test_a_vector_that_could_not_be_added_whole_fails_the_round(
    tmp_path: Path, failing: int
) -> None:
    """Whoever is added after it, and however well."""
    async with staged(tmp_path, free=(), aggregation="plain") as stage:
        coordinator = stage.coordinator
        room = Refusing(stage.study, failing)
        coordinator._around = replace(coordinator._around, room=room)
        await stage.run()
        assert room.read == 4
        assert stage.failure == "round 1: a vector could not be added whole: the sum is spoilt"
        np.testing.assert_array_equal(stage.vector, stage.start)


async def test_an_upload_that_finds_no_room_at_all_is_not_waited_for(tmp_path: Path) -> None:
    class Full(SpoolRoom):
        @contextmanager
        def place(self) -> Iterator[Spool]:
            raise MemoryError
            yield

    async with staged(tmp_path, clients=3, free=(2,), threshold=2) as stage:
        raw = await stage.raw().join(2)
        await raw.ready()
        playing = asyncio.create_task(stage.run())
        await raw.open()
        around = stage.coordinator._around
        played = stage.coordinator.current_round
        assert played is not None
        played._around = replace(around, room=Full(1, 1))
        assert (await raw.put(raw.body(stage.study)))[0] == 500
        played._around = around
        await raw.leave()
        await playing
        lost = [(event.client, event.notes["reason"]) for event in stage.events("client_lost")]
        assert lost == [(2, "its upload could not be taken")]


LIES = [
    # its weight, its other counts, why it is lost
    (0, 0, "a client's weight must lie in [1, 72], this one is 0"),
    (73, 73, "a client's weight must lie in [1, 72], this one is 73"),
    (9, 10, "a neuron was trained with more than its client's weight"),
]


@pytest.mark.parametrize(("weight", "counts", "reason"), LIES)
async def test_where_updates_are_seen_a_lie_about_weights_loses_its_client_only(
    tmp_path: Path, weight: int, counts: int, reason: str
) -> None:
    settings = {"aggregation": "plain", "strategy": "fluid", "train_examples": 288}
    async with staged(tmp_path, **settings) as stage:  # type: ignore[arg-type]
        assert stage.study.fixed_point.max_weight == 72
        raw = await stage.raw().join(3)
        await raw.ready()
        playing = asyncio.create_task(stage.run())
        assert await lie(raw, stage, weight, counts) == (400, reason)
        await raw.leave()
        await playing
        assert stage.failure is None
        lost = [(event.client, event.notes["reason"]) for event in stage.events("client_lost")]
        assert lost == [(3, f"upload: {reason}")]
        weights = [stage.study.task.examples(client) for client in range(3)]
        updates = [update_of(client, 1, stage.start.size) for client in range(3)]
        mean = np.average(updates, axis=0, weights=weights)
        np.testing.assert_allclose(stage.vector, stage.start + mean, atol=1e-6)


async def lie(raw: RawClient, stage: Stage, weight: int, counts: int) -> tuple[int, str]:
    plan = await raw.receive(m.Plan)
    raw.round = plan.round
    await raw.send(m.Note(plan.round, plan.attempt, b""))
    await raw.receive(m.Notes)
    study = stage.study
    upload = stage.coordinator.model._upload  # type: ignore[attr-defined]
    words = np.zeros(study.words, study.fixed_point.word)
    told = np.full(study.layout.length, counts)
    told[0] = weight
    words[upload.counts_at] = upload.counts.pack(told)
    packed = bytes(pack(words, study.fixed_point.ring_bits))
    checksum = UploadChecksum(raw.welcome.credential, (raw.round, 1))
    checksum.update(packed)
    return await raw.put(packed + checksum.digest())
