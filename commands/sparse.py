"""Settings of sparse training that do not go together, refused before a run begins."""

from typing import Any

from commands.errors import BadInput
from commands.settings import RunSettings
from learning.kernels import kinds_of
from learning.structure import Structure
from profiles import Kernels, ProfileError, UnknownProfile, load_kernels
from strategies.interface import Strategy
from strategies.pruning import Pruning
from strategies.settings import StrategySettings


def pruning_of(
    strategy: Strategy, settings: StrategySettings, structure: Structure
) -> Pruning | None:
    """Raises SettingsError."""
    return None if strategy.pruning is None else strategy.pruning(settings, structure)


DENSE = "dense"


def kernels_of(settings: RunSettings, structure: Structure) -> Kernels | None:
    """What the devices' kernels make of zeros; None: nothing. Raises BadInput, or ProfileError for
    a file."""
    if settings.sparse_compute == DENSE:
        return None
    try:
        kernels = load_kernels(settings.sparse_compute)
    except UnknownProfile as error:
        raise BadInput(f"sparse_compute: must be dense, kernels or a file: {error.rule}") from error
    missing = sorted(kinds_of(structure) - kernels.layers.keys())
    if missing:
        raise ProfileError(
            settings.sparse_compute,
            f"layers.{missing[0]}",
            f"is missing: the model of {settings.task} has such layers",
        )
    return kernels


def told_of(kernels: Kernels | None) -> dict[str, Any]:
    """What a client is told of them: the curves."""
    if kernels is None:
        return {}
    curves = {
        kind: {"zeros": list(curve.zeros), "relative_time": list(curve.relative_time)}
        for kind, curve in kernels.layers.items()
    }
    return {"passes": kernels.passes, "layers": curves}


def said_of_kernels(kernels: Kernels | None, task: str) -> tuple[str, ...]:
    """What whoever starts the run should know of them."""
    if kernels is None or kernels.task == task:
        return ()
    return (f"sparse_compute: {kernels.name} was measured on layers of {kernels.task}'s model",)


def check_pruning(settings: RunSettings, pruning: Pruning | None) -> None:
    """Raises BadInput."""
    if pruning is None:
        return
    if pruning.gradient_round and settings.training == "modelled":
        raise BadInput(
            f"training: modelled: {settings.strategy} prunes by a gradient, which must be computed"
        )
    if (settings.one_shot_round or 1) > settings.rounds:
        raise BadInput(
            f"one_shot_round: must be one of the run's {settings.rounds} rounds,"
            f" got {settings.one_shot_round}"
        )
    if pruning.votes == "weight" and settings.mean == "all":
        raise BadInput("vote_mean: voters: is a mean over the voters: mean=participation")
