"""What a strategy that prunes weights for everybody offers: who prunes what, and when.

Beside a strategy's two halves, which say who trains how much. The coordinator's side sees the
merged model and sums of votes, the client's its own training; neither sees anybody else's update.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from learning.selection import Kept
from learning.sparsity import Pruner, Schedule, SparsityError
from learning.structure import Structure, Vector
from learning.upload import Votes
from strategies.settings import SettingsError, StrategySettings


@dataclass(frozen=True, slots=True, eq=False)
class Merged:
    """What a round came to, as whole vectors."""

    before: Vector
    """The model that was sent; zero where nothing survives."""
    update: Vector
    """The mean, likewise."""
    kept: Kept
    """What survived up to now."""
    votes: NDArray[np.int64] | None
    """How many clients keep each coordinate, where they vote."""
    clients: int


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What one client's training came to."""

    before: Vector
    update: Vector
    kept: Kept


class Pruning(Protocol):
    votes: Votes
    """What clients say of each coordinate beside their update."""
    gradient_round: int
    """In which clients measure their gradient instead of training; 0: in none."""

    def upload(self, round_: int, own: Trained) -> tuple[Vector, Kept | None]:
        """The client's side: the update to send, and which coordinates it votes to keep."""
        ...

    def merge(self, round_: int, merged: Merged) -> tuple[Vector, Kept]:
        """The coordinator's side: the new model, zero where nothing survives, and the survivors,
        all of them survivors before."""
        ...


def pruned(model: Vector, kept: Kept) -> Vector:
    """Zero, and never minus zero, where nothing survives: clients who are sent the survivors come
    to the same bytes."""
    return np.where(kept, model, np.float32(0))


def schedule_of(settings: StrategySettings) -> Schedule:
    """Raises SettingsError."""
    if settings.sparsity_rounds is None:
        raise SettingsError("strategy: sparsity_rounds: must be known: the rounds of the run")
    try:
        return Schedule(
            settings.sparsity,
            settings.sparsity_rounds,
            settings.sparsity_start,
            settings.sparsity_every,
            settings.sparsity_exponent,
        )
    except SparsityError as error:
        raise SettingsError(f"strategy: {error}") from error


def pruner_of(settings: StrategySettings, structure: Structure) -> Pruner:
    return Pruner(structure, settings.sparsity_scope == "layer", settings.prune_biases)
