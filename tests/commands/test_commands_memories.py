"""What clients keep for a run that is resumed, on a disk that refuses, and from a foreign file."""

from pathlib import Path

import msgpack
import numpy as np
import pytest

from commands.memories import NAME, Memories
from runs.checkpoint import FOLDER
from runs.disk import FullDisk
from runs.errors import RunFolderError
from strategies.neurons import MODEL
from strategies.state import State

PLENTY = 2**30


def state(round_: int, client: int) -> State:
    """As of a round whose model all clients have seen."""
    own = np.full(3, client, np.float64)
    return State({"seen": round_}, {MODEL: np.full(50, round_, np.float32), "own/a": own})


def resumed(path: Path, round_: int) -> Memories:
    memories = Memories(path)
    memories.resume(round_)
    return memories


def assert_kept(memories: Memories, client: int, round_: int) -> None:
    found = memories.recall(client)
    assert found is not None
    assert found.values == {"seen": round_}
    np.testing.assert_array_equal(found.arrays[MODEL], np.full(50, round_))
    np.testing.assert_array_equal(found.arrays["own/a"], np.full(3, client))


@pytest.mark.parametrize("room", [0, 1, 100, 400, 460, 500])
def test_what_comes_after_a_refusal_is_kept_with_its_own_model(tmp_path: Path, room: int) -> None:
    """Whether the disk refuses within a model, a record, or before either; nothing is glued to
    what is torn, and nobody is given a model that is not in the log."""
    disk = FullDisk(room)
    memories = Memories(tmp_path, disk)
    for client in (0, 1):
        memories.keep(client, 1, state(1, client))
    disk.clear(PLENTY)
    memories.keep(0, 2, state(2, 0))
    memories.keep(1, 2, state(2, 1))
    memories.close()
    for client in (0, 1):
        assert_kept(resumed(tmp_path, 2), client, 2)


def test_a_log_that_cannot_be_begun_anew_is_left_as_it_was(tmp_path: Path) -> None:
    disk = FullDisk(PLENTY)
    memories = Memories(tmp_path, disk)
    for round_ in (1, 2, 3):
        memories.keep(0, round_, state(round_, 0))
        disk.clear(0 if round_ == 2 else PLENTY)
        memories.settle()
    memories.keep(1, 3, state(3, 1))
    memories.close()
    found = resumed(tmp_path, 3)
    assert_kept(found, 0, 3)
    assert_kept(found, 1, 3)


FOREIGN = [
    {"client": 0, "round": 1, "values": [], "arrays": {}, "has_model": False},
    {"client": "0", "round": 1, "values": {}, "arrays": {}, "has_model": False},
    {"client": 0, "round": None, "values": {}, "arrays": {}, "has_model": False},
    {"client": 0, "round": 1, "values": {}, "arrays": {"a": [1]}, "has_model": False},
    {"client": 0, "round": 1, "values": {}, "arrays": {}},
    [1, 2],
]


@pytest.mark.parametrize("raw", FOREIGN, ids=str)
def test_what_clients_did_not_keep_is_refused(tmp_path: Path, raw: object) -> None:
    path = tmp_path / FOLDER / "workers" / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(msgpack.packb(raw))
    with pytest.raises(RunFolderError, match="must be what clients kept"):
        Memories(tmp_path).resume(1)


def test_what_was_kept_goes_when_the_run_is_over_and_nothing_else(tmp_path: Path) -> None:
    memories = Memories(tmp_path)
    memories.forget()
    memories.keep(0, 1, state(1, 0))
    other = memories.path.parent / "somebody's"
    other.write_text("file")
    memories.forget()
    assert list(memories.path.parent.iterdir()) == [other]
