"""A straggler's keep ratio where its kernels make something of zeros: predicted at the cost that
its work will be charged at."""

from dataclasses import replace

import numpy as np
import pytest

from learning.kernels import Curve, Kernels
from learning.structure import Structure
from strategies import STRATEGIES
from strategies.interface import FULL_MODEL, Decision, Outcome, RoundView, full
from strategies.rates import FitCurve
from strategies.settings import StrategySettings
from strategies.times import Times, encode_note

KERNELS = Kernels({"dense": Curve((0.0, 0.5, 1.0), (1.0, 1.0, 0.1))}, "training")


def decided(structure: Structure, curve: FitCurve, sparse: bool) -> Decision:
    """Of a client twice as slow as nine others, in a round with 80 % of the weights pruned, most of
    them among the first neurons of the layer."""
    half = STRATEGIES["ordered-dropout"].client(StrategySettings(), 0, structure, curve)
    half.observe(Outcome(2, full("as an example"), np.zeros(structure.size, np.float32), 10, 1))
    notes = {0: half.note()} | {n: encode_note(Times.measured(5.0, 1.0)) for n in range(1, 10)}
    kept = np.arange(structure.size) >= 0.8 * structure.size if sparse else None
    view = RoundView(3, 0, notes, np.ones(structure.size, np.float32), kept=kept)
    decision = half.decide(view)
    assert decision.straggler
    assert 0 < decision.keep_ratio < 1
    return decision


def test_the_cost_of_the_chosen_neurons_is_that_of_their_own_zeros(
    structure: Structure, curve: FitCurve
) -> None:
    curve = replace(curve, kernels=KERNELS)
    decision = decided(structure, curve, sparse=True)
    kept = np.arange(structure.size) >= 0.8 * structure.size
    own = KERNELS.macs(structure, decision.keep, kept)
    assert decision.relative_cost == pytest.approx(
        curve.relative(own, KERNELS.macs(structure, FULL_MODEL, kept))
    )
    assert decision.predicted_s == pytest.approx(10 * decision.relative_cost)


def test_zeros_change_nothing_for_dense_kernels_nor_kernels_without_zeros(
    structure: Structure, curve: FitCurve
) -> None:
    plain = decided(structure, curve, sparse=False)
    for other in (
        decided(structure, curve, sparse=True),
        decided(structure, replace(curve, kernels=KERNELS), sparse=False),
    ):
        assert other.keep_ratio == plain.keep_ratio
        assert other.relative_cost == plain.relative_cost
        assert other.predicted_s == plain.predicted_s
