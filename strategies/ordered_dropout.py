"""`ordered-dropout`: stragglers train each layer's first neurons, as many as under `clip`.

Ordered dropout (FjORD, arXiv 2102.13451) with the stragglers found by themselves; the rate rule is
CLIP's compute-aware one, so that only the choice of neurons differs (our choice).
"""

from learning.structure import Structure
from strategies.interface import Strategy
from strategies.neurons import OrderedChoice
from strategies.none import everybody
from strategies.rates import FitCurve, compute_aware
from strategies.self_pruning import WHEN_DRAWN, Parts, SelfPruning
from strategies.settings import StrategySettings


def client(
    settings: StrategySettings, client: int, structure: Structure, curve: FitCurve
) -> SelfPruning:
    neurons = OrderedChoice(structure)
    return SelfPruning(settings, structure, curve, Parts(compute_aware, neurons))


ORDERED_DROPOUT = Strategy(
    name="ordered-dropout",
    describe="stragglers train the first neurons of each layer, as many as their compute allows",
    server=everybody,
    client=client,
    counts=lambda settings: "neuron",
    when_drawn=WHEN_DRAWN,
)
