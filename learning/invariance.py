"""How much each hidden neuron changed: the measure behind invariant dropout.

A neuron's score is the largest relative change |dw| / (|w| + epsilon) over its incoming weights,
its bias and its outgoing weights (FLuID, arXiv 2307.02623: a neuron is invariant only if all of
them are; the epsilon and the use of one client's own evidence are our choice). Scores only: which
neurons to drop is a strategy's decision. Must not know torch, rounds or clients.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from learning.structure import Keep, Structure, Vector
from learning.submodel import SubModel

EPSILON = 1e-3
"""Our choice. With a vanishing epsilon a neuron's score is its smallest weight's, by chance: on
`digits` (FedAvg, rounds 2 to 5) the rank correlation of one round's scores with the next one's was
0.0 to 0.5 at 1e-8, 0.6 to 0.8 at 1e-4, 0.8 to 0.9 at 1e-3, and little better at 1e-2."""


def scores(
    structure: Structure,
    before: Vector,
    update: Vector,
    trained: Keep | None = None,
    epsilon: float = EPSILON,
) -> Mapping[str, NDArray[np.float32]]:
    """Each prunable group's scores; NaN where a neuron has no evidence.

    `trained` is what was kept while the update came about (None: everything). A coordinate gives
    no evidence if it was left out, or is exactly zero before and after. Only float32 absolute
    values, sums, quotients and maxima are taken, each exactly rounded, so every machine gets the
    same bits.
    """
    structure.require(before)
    structure.require(update)
    change: Vector = np.abs(update)
    change /= np.abs(before) + np.float32(epsilon)
    change[(before == 0) & (update == 0)] = -1.0  # below every change: no evidence
    if trained:
        change[~SubModel(structure, trained).mask] = -1.0
    result = largest(structure, change)
    for values in result.values():
        values[values < 0] = np.nan
    return result


def largest(structure: Structure, values: Vector) -> dict[str, NDArray[np.float32]]:
    """For each prunable group's neurons, the largest of their weights' `values` (>= -1)."""
    result = {group: np.full(n, -1.0, np.float32) for group, n in structure.sizes.items()}
    tensors = structure.named(values)
    for parameter in structure.parameters:
        for number, axis in structure.prunable_axes(parameter):
            others = tuple(other for other in range(len(parameter.shape)) if other != number)
            np.maximum.at(
                result[axis.group], axis.neurons, tensors[parameter.name].max(axis=others)
            )
    return result
