"""Settings of sparse training that do not go together, refused before a run begins."""

from commands.errors import BadInput
from commands.settings import RunSettings
from learning.structure import Structure
from strategies.interface import Strategy
from strategies.pruning import Pruning
from strategies.settings import StrategySettings


def pruning_of(
    strategy: Strategy, settings: StrategySettings, structure: Structure
) -> Pruning | None:
    """Raises SettingsError."""
    return None if strategy.pruning is None else strategy.pruning(settings, structure)


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
