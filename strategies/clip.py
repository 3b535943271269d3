"""`clip`: stragglers leave out the neurons that training changes least, to win back compute time.

CLIP with compute-aware dropout (arXiv 2510.16694). What its text leaves open is our choice and
marked so in docs/strategies.md.
"""

from learning.layout import Counts
from learning.structure import Structure
from strategies.evidence import LocalEvidenceChoice
from strategies.interface import Strategy
from strategies.neurons import GlobalEvidenceChoice, NeuronChoice
from strategies.none import everybody
from strategies.rates import FitCurve, compute_aware
from strategies.self_pruning import WHEN_DRAWN, Parts, SelfPruning
from strategies.settings import StrategySettings


def invariant_neurons(settings: StrategySettings, structure: Structure) -> NeuronChoice:
    if settings.evidence == "global":
        return GlobalEvidenceChoice(structure)
    return LocalEvidenceChoice(structure, settings)


def counts(settings: StrategySettings) -> Counts:
    """Public orders nest the clients' kept sets; own evidence does not."""
    return "neuron" if settings.evidence == "global" else "pair"


def client(
    settings: StrategySettings, client: int, structure: Structure, curve: FitCurve
) -> SelfPruning:
    neurons = invariant_neurons(settings, structure)
    return SelfPruning(settings, structure, curve, Parts(compute_aware, neurons))


CLIP = Strategy(
    name="clip",
    describe="stragglers train without their least changing neurons, to match the others' compute",
    server=everybody,
    client=client,
    counts=counts,
    when_drawn=WHEN_DRAWN,
)
