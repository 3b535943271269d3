"""`random-dropout`: stragglers leave out random neurons, as many as `clip` would.

Federated dropout (Caldas 2018, arXiv 1812.07210) with the stragglers found by themselves; the
rate rule is CLIP's compute-aware one, so that only the choice of neurons differs (our choice).
"""

from learning.structure import Structure
from strategies.interface import Strategy
from strategies.neurons import RandomChoice
from strategies.none import everybody
from strategies.rates import FitCurve, compute_aware
from strategies.self_pruning import WHEN_DRAWN, Parts, SelfPruning
from strategies.settings import StrategySettings


def client(
    settings: StrategySettings, client: int, structure: Structure, curve: FitCurve
) -> SelfPruning:
    neurons = RandomChoice(structure, settings.seed)
    return SelfPruning(settings, structure, curve, Parts(compute_aware, neurons))


RANDOM_DROPOUT = Strategy(
    name="random-dropout",
    describe="stragglers train without random neurons, as many as their compute needs",
    server=everybody,
    client=client,
    counts=lambda settings: "neuron",
    when_drawn=WHEN_DRAWN,
)
