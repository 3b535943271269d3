"""A run as a membership attack finds it: its models, who trained on what, which examples are asked
about. Reads a run folder; trains and judges nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from commands.errors import BadInput
from commands.settings import RunSettings, settings_in
from commands.study import task_settings_of
from learning.partition import Indices
from learning.structure import StructureError, Vector
from learning.task import Task, TaskError
from learning.tasks import load_task
from protocol.telemetry import Event
from runs import records
from runs.errors import RunFolderError
from runs.loading import load_config, load_summary
from runs.updates import KeptRound, kept_rounds, read_round
from runs.values import items, text, whole

MODEL = "model.safetensors"
LEAST = 20
"""Examples of a kind below which nothing is worth saying."""


@dataclass(frozen=True, slots=True, eq=False)
class Attacked:
    path: Path
    settings: RunSettings
    task: Task
    vector: Vector
    digest: str
    """SHA-256 of the model's file."""
    rounds: tuple[KeptRound, ...]
    owners: Mapping[int, int]
    """By training example that was really used: who holds it (of several the first)."""

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def masked(self) -> bool:
        return self.settings.aggregation != "plain"


def read_attacked(path: Path, data: str | None) -> Attacked:
    """Raises BadInput naming file and rule."""
    try:
        summary, config = load_summary(path), load_config(path)
        settings = settings_in(config, path / "config.toml")
        _check_attackable(path, settings, text(summary, "status"))
        if data is not None and settings.data is not None:
            settings = replace(settings, data=data)
        clients = whole(summary, "clients")
        if clients is None:
            raise BadInput(f"{path / 'summary.json'}: clients: must be an integer")
        task = load_task(task_settings_of(settings, clients))
        vector, digest = _model(path / MODEL, task)
        rounds = tuple(read_round(path, number) for number in kept_rounds(path))
        _check_rounds(path, rounds, task)
        owners = _owners(task, _used(path))
    except (RunFolderError, TaskError) as error:
        raise BadInput(str(error)) from error
    return Attacked(path, settings, task, vector, digest, rounds, owners)


def _check_attackable(path: Path, settings: RunSettings, status: str | None) -> None:
    if status != "finished":
        raise BadInput(
            f"{path / 'summary.json'}: status: is {status}: only finished runs are judged"
        )
    if settings.training == "modelled":
        raise BadInput(
            f"{path / 'config.toml'}: run: training: modelled: its model has learnt nothing"
        )


def _model(file: Path, task: Task) -> tuple[Vector, str]:
    try:
        content = file.read_bytes()
        vector = task.structure.flatten(load(content))
    except OSError as error:
        raise BadInput(f"{file}: cannot be read ({error.strerror})") from None
    except (SafetensorError, StructureError) as error:
        raise BadInput(f"{file}: must be a model of {task.name}: {error}") from None
    return vector, sha256(content).hexdigest()


def _check_rounds(path: Path, rounds: tuple[KeptRound, ...], task: Task) -> None:
    for each in rounds:
        if each.model.shape != (task.structure.size,):
            raise BadInput(f"{path}: updates of round {each.round}: must be of {task.name}'s model")
        if len(each.updates) < 2 or max(each.updates) >= len(task.shares):
            raise BadInput(f"{path}: updates of round {each.round}: must be of at least 2 clients")


def _used(path: Path) -> frozenset[int]:
    """Clients whose vectors came into at least one round's sum."""
    found: set[int] = set()
    for each in records.read(path / "events.jsonl"):
        if isinstance(each, Event) and each.kind == "round_finished":
            found.update(c for c in items(each.notes, "survivors") if isinstance(c, int))
    return frozenset(found)


def _owners(task: Task, used: frozenset[int]) -> dict[int, int]:
    owners: dict[int, int] = {}
    for client in sorted(used):
        for example in task.share(client):
            owners.setdefault(int(example), client)
    return owners


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Who is asked about. Seeded; members and others as many as each other."""

    members: Indices
    """Among the task's training examples."""
    owners: NDArray[np.int64]
    """The client that holds each of them."""
    others: Indices
    """Among its test examples."""
    pool: Indices
    """Test examples that nobody is asked about: what shadow models train on."""


def sample(run: Attacked, examples: int, shadows: int) -> Sample:
    """Raises BadInput where too few are left."""
    generator = np.random.default_rng([run.settings.seed, 0xA77A])
    test = generator.permutation(len(run.task.corpus.test))
    known = np.array(sorted(run.owners))
    asked = len(test) - len(test) // 2 if shadows else len(test)
    count = min(examples, len(known), asked)
    if count < LEAST:
        raise BadInput(
            f"{run.path}: {len(known)} members and {asked} others to ask about: at least {LEAST} of"
            " each are needed"
        )
    members = np.sort(generator.choice(known, count, replace=False))
    owners = np.array([run.owners[int(each)] for each in members])
    return Sample(members, owners, np.sort(test[:count]), np.sort(test[asked:]))
