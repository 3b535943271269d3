"""The four kinds of secure sum side by side, for tests that hold for all of them."""

from collections.abc import Mapping

import numpy as np

from protocol.secagg.chosen_degree import Foes
from protocol.secagg.chosen_graph import ChosenGraph
from protocol.secagg.graph import CompleteGraph, Graph
from protocol.secagg.guarded_rehearsal import GuardedRehearsal
from protocol.secagg.keys import Randomness, Sum
from protocol.secagg.regular_graph import RegularGraph
from protocol.secagg.rehearsal import Rehearsal
from protocol.secagg.terms import Terms

IDS = (2, 3, 5, 7, 11, 13, 17, 19)
SUM = Sum(b"session-16-bytes", 7, 2)
VARIANTS = ("secagg", "secagg+", "secagg active", "secagg+ active")
FOES = Foes(corrupt=1)
_THRESHOLDS = {"secagg": 5, "secagg+": 3, "secagg active": 5, "secagg+ active": 3}


class _Seeded:
    """A source for each client: a second one of the same client goes on differently."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._given = 0

    def __call__(self, client: int) -> Randomness:
        self._given += 1
        return np.random.default_rng([self._seed, client, self._given]).bytes


def graph_of(variant: str, sum_: Sum = SUM) -> Graph:
    if variant == "secagg+":
        return RegularGraph.drawn(IDS, 4, bytes(32), sum_)
    if variant == "secagg+ active":
        return ChosenGraph(IDS, 4, {})
    return CompleteGraph(IDS)


def fleet(
    variant: str, seed: int = 0, lost: Mapping[int, int] | None = None, sum_: Sum = SUM
) -> Rehearsal:
    """Eight clients that are all there, or lost as told (`LostGuarded` where it is active)."""
    terms = Terms(sum_, graph_of(variant, sum_), _THRESHOLDS[variant])
    if variant.endswith("active"):
        return GuardedRehearsal(terms, _Seeded(seed), FOES, lost)
    return Rehearsal(terms, _Seeded(seed), lost)
