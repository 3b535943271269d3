"""`clip-network`: `clip`, pruned further where the network is slow, to win back its time too.

CLIP with compute- and network-aware dropout (arXiv 2510.16694): over-pruning. The upload itself is
never shorter, because masked vectors must all have one length.
"""

from learning.structure import Structure
from strategies.clip import counts, invariant_neurons
from strategies.interface import Strategy
from strategies.none import everybody
from strategies.rates import FitCurve, network_aware
from strategies.self_pruning import WHEN_DRAWN, Parts, SelfPruning
from strategies.settings import StrategySettings


def client(
    settings: StrategySettings, client: int, structure: Structure, curve: FitCurve
) -> SelfPruning:
    neurons = invariant_neurons(settings, structure)
    return SelfPruning(settings, structure, curve, Parts(network_aware, neurons))


CLIP_NETWORK = Strategy(
    name="clip-network",
    describe="clip, with more pruned to make up for a slow network as well",
    server=everybody,
    client=client,
    counts=counts,
    when_drawn=WHEN_DRAWN,
)
