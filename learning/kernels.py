"""What zeros among weights save in compute: the choice of the cost model, as arithmetic.

With dense kernels zeros save nothing. Kernels for sparse weights were measured somewhere as curves,
time against the share of zeros, one for each kind of layer. Must not know files, devices or torch.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import Any, get_args

import numpy as np

from learning.selection import Kept
from learning.structure import Keep, LayerKind, Structure, Widths
from learning.submodel import SubModel

BACKWARD_AND_FORWARD = 3
"""Training costs three forward passes: one forward, one for each of the two gradients."""
PASSES = ("forward", "training")
"""What a curve is of: the forward pass alone, or forward and backward together."""
MOST_POINTS = 1000

Zeros = Mapping[str, float]
"""The share of zeros in each weight tensor, by its name."""


class KernelsError(ValueError):
    """Curves that are none. One line."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Time with sparse kernels over time with dense ones, at some shares of zeros. Between them it
    is linear in the share: such a kernel's time is a fixed part and one for each weight that is
    not zero. After the last share nothing more is saved."""

    zeros: tuple[float, ...]
    relative_time: tuple[float, ...]

    def __post_init__(self) -> None:
        """Raises KernelsError."""
        zeros, times = self.zeros, self.relative_time
        if not 2 <= len(zeros) == len(times) <= MOST_POINTS:
            raise KernelsError(f"a curve has 2 to {MOST_POINTS} shares of zeros, each with a time")
        if zeros[0] != 0 or zeros[-1] > 1 or not all(a < b for a, b in pairwise(zeros)):
            raise KernelsError("shares of zeros ascend from 0 to at most 1")
        if not all(math.isfinite(time) and time > 0 for time in times) or times[0] < 1:
            raise KernelsError("relative times are above 0, and at least 1 without zeros")

    def at(self, zeros: float) -> float:
        """Never above 1: where dense kernels are faster, a device uses those."""
        return min(1.0, float(np.interp(zeros, self.zeros, self.relative_time)))


@dataclass(frozen=True, slots=True)
class Kernels:
    curves: Mapping[str, Curve] = field(default_factory=dict)
    """By kind of layer; empty: dense kernels for all."""
    passes: str = "forward"
    """Which passes they are of; the others are dense."""

    @classmethod
    def from_mapping(cls, told: Mapping[str, Any]) -> "Kernels":
        """From plain values; nothing at all: dense. Raises KernelsError."""
        if not told:
            return DENSE_KERNELS
        if told.keys() != {"passes", "layers"} or told["passes"] not in PASSES:
            raise KernelsError(f"kernels have layers, and passes: one of {', '.join(PASSES)}")
        layers = told["layers"]
        if not isinstance(layers, dict) or not layers or not layers.keys() <= set(KINDS):
            raise KernelsError(f"layers are of the kinds {', '.join(KINDS)}")
        return cls({kind: _curve(of) for kind, of in layers.items()}, told["passes"])

    def macs(self, structure: Structure, keep: Keep, kept: Kept | None) -> float:
        """Forward MACs of one sample; of those that zeros save, less. A third of what all of its
        training costs."""
        widths = structure.widths(keep)
        if kept is None or not self.curves:
            return structure.forward_macs(widths)
        within = SubModel(structure, keep).mask if keep else None
        return self.macs_among(structure, widths, zeros_of(structure, kept, within))

    def macs_among(self, structure: Structure, widths: Widths, zeros: Zeros) -> float:
        """Likewise, with so many zeros in each tensor."""
        counted = structure.macs(widths)
        saved = 0.0
        for parameter in structure.parameters:
            if parameter.kind is not None and parameter.kind in self.curves:
                relative = self.curves[parameter.kind].at(zeros[parameter.name])
                saved += counted.get(parameter.name, 0) * (1 - relative)
        if self.passes == "forward":
            saved /= BACKWARD_AND_FORWARD
        return sum(counted.values()) - saved


DENSE_KERNELS = Kernels(MappingProxyType({}))
KINDS: tuple[str, ...] = get_args(LayerKind)


def kinds_of(structure: Structure) -> frozenset[str]:
    """The kinds of layers that a model has."""
    return frozenset(p.kind for p in structure.parameters if p.kind is not None)


def zeros_of(structure: Structure, kept: Kept, within: Kept | None = None) -> dict[str, float]:
    """The share of zeros in each tensor; `within`: among these of its coordinates."""
    if kept.shape != (structure.size,):
        raise KernelsError(f"expected survivors of {structure.size} weights, got {kept.shape}")
    shares: dict[str, float] = {}
    start = 0
    for parameter in structure.parameters:
        span = slice(start, start + parameter.size)
        of = kept[span] if within is None else kept[span][within[span]]
        shares[parameter.name] = 1 - np.count_nonzero(of) / max(1, of.size)
        start += parameter.size
    return shares


def _curve(told: object) -> Curve:
    if not isinstance(told, dict) or told.keys() != {"zeros", "relative_time"}:
        raise KernelsError("a curve has zeros and relative_time")
    for numbers in told.values():
        if not isinstance(numbers, list) or not all(type(n) in (int, float) for n in numbers):
            raise KernelsError("zeros and relative_time are lists of numbers")
    return Curve(tuple(map(float, told["zeros"])), tuple(map(float, told["relative_time"])))
