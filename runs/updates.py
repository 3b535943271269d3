"""Single updates that a run without masks was told to keep: one folder a round, one file a client.

    updates/round-40/model.safetensors     what everybody trained on
    updates/round-40/client-3.safetensors  what client 3 changed

Of a model of which most weights are pruned only the survivors' values are there. Knows the shape of
these files, and nothing of what the numbers mean.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runs.checkpoint import Checkpoint, read_checkpoint
from runs.errors import RunFolderError

FOLDER = "updates"
_MODEL = "model.safetensors"
_ROUND = re.compile(r"round-(\d+)")
_CLIENT = re.compile(r"client-(\d+)\.safetensors")


def round_file(round_: int) -> str:
    return f"{FOLDER}/round-{round_}/{_MODEL}"


def client_file(round_: int, client: int) -> str:
    return f"{FOLDER}/round-{round_}/client-{client}.safetensors"


def of_model(round_: int, values: NDArray[np.float32], kept: NDArray[np.bool_]) -> Checkpoint:
    return Checkpoint({"round": round_}, {"values": values, "kept": kept})


def of_client(round_: int, client: int, values: NDArray[np.float32]) -> Checkpoint:
    return Checkpoint({"round": round_, "client": client}, {"values": values})


@dataclass(frozen=True, slots=True, eq=False)
class KeptRound:
    round: int
    model: NDArray[np.float32]
    """At full length, zero where nothing survives; likewise the updates."""
    updates: Mapping[int, NDArray[np.float32]]
    """By client."""


def kept_rounds(path: Path) -> tuple[int, ...]:
    """Rounds of which a run folder holds updates, ascending."""
    found = (_ROUND.fullmatch(each.name) for each in (path / FOLDER).glob("round-*"))
    return tuple(sorted(int(match[1]) for match in found if match))


def drop_after(path: Path, round_: int) -> None:
    """Remove what was kept of later rounds: of an attempt that was cut off, which another one will
    not overwrite whole. Raises OSError."""
    for late in (each for each in kept_rounds(path) if each > round_):
        folder = path / FOLDER / f"round-{late}"
        for file in folder.iterdir():
            if file.name == _MODEL or _CLIENT.fullmatch(file.name):
                file.unlink()
        with suppress(OSError):  # somebody else's file lies there
            folder.rmdir()


def read_round(path: Path, round_: int) -> KeptRound:
    """Raises RunFolderError naming file and rule."""
    file = path / round_file(round_)
    arrays = read_checkpoint(file).arrays
    kept, values = arrays.get("kept"), arrays.get("values")
    if kept is None or values is None or kept.dtype != np.bool_ or kept.ndim != 1:
        raise RunFolderError(f"{file}: must hold a model's values, and which of them survive")

    def whole(file: Path, values: NDArray[np.float32] | None) -> NDArray[np.float32]:
        expected = int(np.count_nonzero(kept))
        if values is None or values.dtype != np.float32 or values.shape != (expected,):
            raise RunFolderError(f"{file}: values: must be {expected} of float32")
        full = np.zeros(kept.shape, np.float32)
        full[kept] = values
        return full

    updates = {}
    for each in sorted(file.parent.glob("client-*.safetensors")):
        if match := _CLIENT.fullmatch(each.name):
            updates[int(match[1])] = whole(each, read_checkpoint(each).arrays.get("values"))
    return KeptRound(round_, whole(file, values), dict(sorted(updates.items())))
