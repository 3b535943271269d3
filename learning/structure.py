"""Which neuron every weight of a model belongs to, and the flat vector that the weights travel as.

Pure description: it must not know torch, tasks or strategies. A model is a list of parameter
tensors; each axis of a tensor says which group of neurons its positions belong to. That one form
covers dense and convolutional layers, a flatten between them (49 positions to a channel) and the
gates of an LSTM (four positions to a unit).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
"""A whole model, or an update of it: all parameters, flattened row by row, in a fixed order."""

Keep = Mapping[str, NDArray[np.intp]]
"""The neurons that remain, ascending, by group. A group that is not named is kept whole, so the
empty mapping is the full model."""

Widths = Mapping[str, int]
"""How many neurons each group has. A group that is not named has all of them."""


LayerKind = Literal["dense", "convolution", "recurrent"]
"""What sort of layer computes with a weight tensor."""

Macs = Mapping[str, int]
"""Multiply-accumulates of one sample's forward pass, by the weight tensor that they are of."""


class StructureError(ValueError):
    """A vector, keep set or description that does not fit the model."""


@dataclass(frozen=True, slots=True)
class Group:
    """A layer's neurons, which are kept or dropped as wholes."""

    name: str
    size: int
    prunable: bool = True
    """False for the output layer: its neurons are the task's classes."""


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """The neuron of `group` that each position along an axis belongs to."""

    group: str
    neurons: NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Parameter:
    """A parameter tensor. An axis is None where it is nobody's: kernel cells, the model's input."""

    name: str
    shape: tuple[int, ...]
    axes: tuple[Axis | None, ...]
    kind: LayerKind | None = None
    """Of a weight that is multiplied with; None: a bias, or nobody has said."""

    @property
    def size(self) -> int:
        return prod(self.shape)


class Structure:
    """A model's parameters, their neurons, and what a forward pass costs."""

    def __init__(
        self,
        groups: Sequence[Group],
        parameters: Sequence[Parameter],
        count_macs: Callable[[Widths], Macs],
    ) -> None:
        """`count_macs` counts one sample's forward pass for complete widths of prunable groups."""
        self.groups: Mapping[str, Group] = {group.name: group for group in groups}
        self.parameters = tuple(parameters)
        self.size = sum(parameter.size for parameter in parameters)
        self.sizes: Widths = {group.name: group.size for group in groups if group.prunable}
        """Neurons of each prunable group, in the model's order."""
        self._count_macs = count_macs
        self._counted: dict[tuple[int, ...], Macs] = {}
        for parameter in parameters:
            self._check(parameter)

    def _check(self, parameter: Parameter) -> None:
        if len(parameter.axes) != len(parameter.shape):
            raise StructureError(f"{parameter.name}: one axis description for each axis")
        for axis, length in zip(parameter.axes, parameter.shape, strict=True):
            if axis is None:
                continue
            if axis.group not in self.groups:
                raise StructureError(f"{parameter.name}: unknown group {axis.group}")
            size = self.groups[axis.group].size
            if not np.array_equal(np.unique(axis.neurons), np.arange(size)):
                raise StructureError(f"{parameter.name}: not every neuron of {axis.group}")
            if len(axis.neurons) != length:
                raise StructureError(f"{parameter.name}: {axis.group} does not fit the axis")

    def prunable_axes(self, parameter: Parameter) -> tuple[tuple[int, Axis], ...]:
        """The axes whose positions can be dropped, each with its number."""
        return tuple(
            (number, axis)
            for number, axis in enumerate(parameter.axes)
            if axis is not None and axis.group in self.sizes
        )

    def named(self, vector: Vector) -> dict[str, Vector]:
        """The tensors as views into the vector."""
        self.require(vector)
        tensors: dict[str, Vector] = {}
        start = 0
        for parameter in self.parameters:
            tensors[parameter.name] = vector[start : start + parameter.size].reshape(
                parameter.shape
            )
            start += parameter.size
        return tensors

    def flatten(self, tensors: Mapping[str, Vector]) -> Vector:
        """The vector of named tensors."""
        vector = np.empty(self.size, np.float32)
        for name, view in self.named(vector).items():
            if name not in tensors or tensors[name].shape != view.shape:
                raise StructureError(f"{name}: missing, or not of shape {view.shape}")
            view[...] = tensors[name]
        return vector

    def require(self, vector: NDArray[np.generic]) -> None:
        """Raise unless the vector is a whole float32 model."""
        if vector.shape != (self.size,) or vector.dtype != np.float32:
            raise StructureError(
                f"expected float32 [{self.size}], got {vector.dtype} {list(vector.shape)}"
            )

    def widths(self, keep: Keep) -> dict[str, int]:
        """Complete widths of a keep set, which is checked here."""
        for group, kept in keep.items():
            if group not in self.sizes:
                raise StructureError(f"{group}: no prunable group of that name")
            if kept.ndim != 1 or len(kept) == 0 or np.any(np.diff(kept) <= 0):
                raise StructureError(f"{group}: kept neurons must be ascending, at least one")
            if kept[0] < 0 or kept[-1] >= self.sizes[group]:
                raise StructureError(f"{group}: kept neurons must be below {self.sizes[group]}")
        return {
            group: len(keep[group]) if group in keep else size for group, size in self.sizes.items()
        }

    def forward_macs(self, widths: Widths) -> int:
        """Multiply-accumulates of one sample's forward pass."""
        return sum(self.macs(widths).values())

    def macs(self, widths: Widths) -> Macs:
        """Those of each weight tensor, counted once for each width."""
        for group, width in widths.items():
            if group not in self.sizes or not 1 <= width <= self.sizes[group]:
                raise StructureError(f"{group}: no such prunable group, or no width {width}")
        complete = {group: widths.get(group, size) for group, size in self.sizes.items()}
        key = tuple(complete.values())
        if key not in self._counted:
            self._counted[key] = self._count_macs(complete)
        return self._counted[key]


def kept_sizes(structure: Structure, ratio: float) -> dict[str, int]:
    """Neurons that remain in each prunable group at a keep ratio in (0, 1].

    FLuID drops n - int(p n) of a layer's n neurons; at least one stays, or the layer is gone.
    """
    if not 0.0 < ratio <= 1.0:
        raise StructureError(f"keep ratio must be in (0, 1], got {ratio}")
    # 1e-9 guards the cases where p n is whole but its float falls just short (0.29 x 100).
    return {group: max(1, int(ratio * size + 1e-9)) for group, size in structure.sizes.items()}
