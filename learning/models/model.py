"""A network as this project knows one: how to build it at given widths, and whose each weight is.

Must not know data or training.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from math import prod

import numpy as np
import torch
from torch import nn

from learning.macs import count_macs
from learning.structure import Axis, Group, Macs, Parameter, Structure, Vector, Widths


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    structure: Structure
    build: Callable[[Widths], nn.Module]
    """A module for complete widths; its parameters follow `structure.parameters`."""

    def initial_vector(self, seed: int) -> Vector:
        """Fresh weights by torch's own rule for each layer, the same for the same seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = self.build(self.structure.sizes)
        return self.structure.flatten(
            {name: tensor.detach().numpy() for name, tensor in module.named_parameters()}
        )

    def module(self, widths: Widths, tensors: Mapping[str, Vector]) -> nn.Module:
        """A module whose parameters share memory with the given tensors."""
        with torch.device("meta"):
            module = self.build(widths)
        state = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
        module.load_state_dict(state, assign=True)
        return module


def layer(
    group: Group,
    source: Group | None,
    *,
    inputs: int = 0,
    positions: int = 1,
    kernel: tuple[int, ...] = (),
) -> list[Parameter]:
    """Weight and bias of a dense or convolutional layer.

    `positions` is how many inputs in a row belong to one neuron of `source` (after a flatten);
    with no source, `inputs` counts the model's own input channels.
    """
    outward = Axis(group.name, np.arange(group.size))
    inward = None
    if source is not None:
        inward = Axis(source.name, np.repeat(np.arange(source.size), positions))
        inputs = source.size * positions
    weight = Parameter(
        f"{group.name}.weight",
        (group.size, inputs, *kernel),
        (outward, inward, *(None for _ in kernel)),
        "convolution" if kernel else "dense",
    )
    return [weight, Parameter(f"{group.name}.bias", (group.size,), (outward,))]


def described(
    groups: list[Group],
    parameters: list[Parameter],
    build: Callable[[Widths], nn.Module],
    input_shape: tuple[int, ...],
) -> Model:
    """The model of those parts; `input_shape` is that of one sample."""

    @cache
    def of_full_model() -> dict[str, int]:
        return count_macs(lambda: build(structure.sizes), input_shape)

    def count(widths: Widths) -> Macs:
        """A layer's work is proportional to its inputs and to its outputs: exactly, so that the
        division leaves no remainder."""
        counted: dict[str, int] = {}
        for parameter in structure.parameters:
            axes = structure.prunable_axes(parameter)
            kept = prod(widths[axis.group] for _, axis in axes)
            whole = prod(structure.sizes[axis.group] for _, axis in axes)
            counted[parameter.name] = of_full_model().get(parameter.name, 0) * kept // whole
        return counted

    structure = Structure(groups, parameters, count)
    return Model(structure, build)
