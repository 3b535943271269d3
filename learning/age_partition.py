"""FedSparsify's splits of a cohort over eight silos (arXiv 2208.11669): alike or unlike in age, of
one size or of many. Must not know models or where the data came from.

The source's sizes and mean ages are of 8,356 scans of mean age 62.7 and deviation 7.4; for another
cohort the sizes are in proportion, and a silo's mean lies as many deviations from the cohort's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.intp]

SILOS = 8
SIZES = (2401, 1765, 1303, 964, 714, 528, 391, 290)
"""Of the skewed splits [the source's]."""
MEANS = (55.4, 60.5, 65.8, 68.8)
"""Of the silos of the uniform non-IID split, two of each [the source's]."""
DEVIATION = 7.4
SKEWED_ORDER = (0, 3, 1, 2, 2, 1, 3, 0)
"""Which of the means the silos of the skewed non-IID split have, largest first: our choice, with
which their weighted mean is nearly the cohort's."""
BLUR = 0.75
"""Ages are dealt out in order of age and chance: so many deviations of chance (our choice)."""
NEAR = 0.01
"""How near a mean is to be, in deviations, before swapping ends."""
SWAPS = 4
"""Proposed for each scan at most."""


@dataclass(frozen=True, slots=True)
class Silos:
    sizes: Sequence[int] | None
    """In proportion; None: all of one size."""
    means: Sequence[float] | None
    """None: alike in age."""


AGE_PARTITIONS: Mapping[str, Silos] = {
    "uniform-iid": Silos(None, None),
    "uniform-noniid": Silos(None, [mean for mean in MEANS for _ in range(2)]),
    "skewed-iid": Silos(SIZES, None),
    "skewed-noniid": Silos(SIZES, [MEANS[number] for number in SKEWED_ORDER]),
}
"""The settings' names."""


def by_age(
    ages: NDArray[np.float32], silos: Silos, generator: np.random.Generator
) -> list[Indices]:
    """Each silo's scans."""
    cuts = _cuts(len(ages), silos.sizes)
    if silos.means is None:
        return np.split(generator.permutation(len(ages)), cuts)
    scores = (ages - ages.mean(dtype=np.float64)) / (ages.std(dtype=np.float64) or 1.0)
    wanted = np.array(silos.means) / DEVIATION
    order = np.argsort(scores + BLUR * generator.normal(size=len(ages)), kind="stable")
    parts = _dealt(order, np.diff([0, *cuts, len(ages)]), wanted)
    sizes = np.array([len(part) for part in parts])
    wanted -= (wanted * sizes).sum() / sizes.sum()  # all of them together are the cohort
    _swap(parts, scores, wanted, generator)
    return parts


def _cuts(count: int, sizes: Sequence[int] | None) -> NDArray[np.intp]:
    shares = np.ones(SILOS) if sizes is None else np.array(sizes, np.float64)
    edges: NDArray[np.float64] = np.rint(np.cumsum(shares / shares.sum())[:-1] * count)
    return edges.astype(np.intp)


def _dealt(order: Indices, sizes: NDArray[np.intp], wanted: NDArray[np.float64]) -> list[Indices]:
    """The silo of the lowest mean gets the first of the order, and so on."""
    parts = [order[:0]] * len(sizes)
    start = 0
    for silo in np.argsort(wanted, kind="stable"):
        parts[silo] = order[start : start + sizes[silo]].copy()
        start += sizes[silo]
    return parts


def _swap(
    parts: list[Indices],
    scores: NDArray[np.float64],
    wanted: NDArray[np.float64],
    generator: np.random.Generator,
) -> None:
    """Scans change places between two silos wherever that brings both means nearer, all in all."""
    sizes = np.array([max(1, len(part)) for part in parts])
    means = np.array([scores[part].mean() if len(part) else 0.0 for part in parts])
    filled = np.flatnonzero([len(part) for part in parts])
    for proposed in generator.random((SWAPS * len(scores), 4)):
        if np.abs(means - wanted).max() < NEAR:
            return
        one, other = (int(filled[int(share * len(filled))]) for share in proposed[:2])
        if one == other:
            continue
        mine, theirs = int(proposed[2] * len(parts[one])), int(proposed[3] * len(parts[other]))
        change = scores[parts[other][theirs]] - scores[parts[one][mine]]
        pair = [one, other]
        moved = means[pair] + np.array([change, -change]) / sizes[pair]
        if ((moved - wanted[pair]) ** 2).sum() < ((means[pair] - wanted[pair]) ** 2).sum():
            means[pair] = moved
            held, given = parts[one][mine], parts[other][theirs]
            parts[one][mine], parts[other][theirs] = given, held
