"""The networks: how each is built at given widths, and the description of its neurons.

Adding one is writing one function and its line in MODELS. Must not know data or training.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from math import prod

import numpy as np
import torch
from torch import nn

from learning.macs import count_macs
from learning.structure import Axis, Group, Parameter, Structure, Vector, Widths


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


def femnist_cnn(classes: int, widths: tuple[int, int, int] = (16, 64, 120)) -> Model:
    """The FEMNIST network at FLuID's widths: 410,022 parameters with 62 classes.

    'Same' padding and two halvings leave 7 x 7 positions a channel; the count fixes both.
    """
    names = ("conv1", "conv2", "dense1")
    groups = [Group(name, width) for name, width in zip(names, widths, strict=True)]
    groups.append(Group("output", classes, prunable=False))

    def build(widths: Widths) -> nn.Module:
        first, second, hidden = widths["conv1"], widths["conv2"], widths["dense1"]
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv1=nn.Conv2d(1, first, 5, padding=2),
            pool1=nn.MaxPool2d(2),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(first, second, 5, padding=2),
            pool2=nn.MaxPool2d(2),
            relu2=nn.ReLU(),
            flatten=nn.Flatten(),
            dense1=nn.Linear(second * 49, hidden),
            relu3=nn.ReLU(),
            output=nn.Linear(hidden, classes),
        )
        return nn.Sequential(layers)

    conv1, conv2, dense1, output = groups
    parameters = [
        *_layer(conv1, None, inputs=1, kernel=(5, 5)),
        *_layer(conv2, conv1, kernel=(5, 5)),
        *_layer(dense1, conv2, positions=49),
        *_layer(output, dense1),
    ]
    return _model(groups, parameters, build, (1, 28, 28))


MODELS: Mapping[str, Callable[[int], Model]] = {"femnist-cnn": femnist_cnn}
"""Every network, by name: a function of the number of classes."""


def _layer(
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
    )
    return [weight, Parameter(f"{group.name}.bias", (group.size,), (outward,))]


def _model(
    groups: list[Group],
    parameters: list[Parameter],
    build: Callable[[Widths], nn.Module],
    input_shape: tuple[int, ...],
) -> Model:
    @cache
    def of_full_model() -> dict[str, int]:
        return count_macs(lambda: build(structure.sizes), input_shape)

    def count(widths: Widths) -> int:
        """A layer's work is proportional to its inputs and to its outputs: exactly, so that the
        division leaves no remainder."""
        total = 0
        for parameter in structure.parameters:
            axes = structure.prunable_axes(parameter)
            kept = prod(widths[axis.group] for _, axis in axes)
            whole = prod(structure.sizes[axis.group] for _, axis in axes)
            total += of_full_model().get(parameter.name, 0) * kept // whole
        return total

    structure = Structure(groups, parameters, count)
    return Model(structure, build)
