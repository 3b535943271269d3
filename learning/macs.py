"""Multiply-accumulates of a forward pass, layer by layer, from the shapes that pass.

A layer whose cost is not known here is refused, never taken for free. (torch's own counter gives
the same figures, as a test holds, but takes seconds to import.)
"""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

Counts = Mapping[str, int]
"""MACs of one layer by the name of the weight they are of."""


@runtime_checkable
class CountsItself(Protocol):
    """A layer of our own that says what it costs."""

    def macs(self, output: torch.Tensor) -> Counts: ...


def _convolution(layer: nn.Conv2d | nn.Conv3d, output: torch.Tensor) -> Counts:
    macs = output.numel() * layer.in_channels // layer.groups * prod(layer.kernel_size)
    return {"weight": macs}


def _dense(layer: nn.Linear, output: torch.Tensor) -> Counts:
    return {"weight": output.numel() * layer.in_features}


_COUNTED: Mapping[type[nn.Module], Callable[[Any, torch.Tensor], Counts]] = {
    nn.Conv2d: _convolution,
    nn.Conv3d: _convolution,
    nn.Linear: _dense,
}


def _macs(layer: nn.Module, output: torch.Tensor) -> Counts:
    if isinstance(layer, CountsItself):
        return layer.macs(output)
    return _COUNTED[type(layer)](layer, output)


def count_macs(build: Callable[[], nn.Module], input_shape: tuple[int, ...]) -> dict[str, int]:
    """Of one sample through the module that `build` makes: for each layer's weight, by its name.
    Nothing is computed: meta tensors."""
    counted: dict[str, int] = {}

    def counting(name: str) -> Callable[[nn.Module, object, torch.Tensor], None]:
        def count(layer: nn.Module, inputs: object, output: torch.Tensor) -> None:
            macs = _macs(layer, output)
            counted.update({f"{name}.{weight}": count for weight, count in macs.items()})

        return count

    with torch.device("meta"), torch.no_grad():
        module = build()
        for name, layer in module.named_modules():
            if type(layer) in _COUNTED or isinstance(layer, CountsItself):
                layer.register_forward_hook(counting(name))
            elif any(True for _ in layer.parameters(recurse=False)):
                raise TypeError(f"{type(layer).__name__}: no rule to count its work")
        module(torch.empty(1, *input_shape))
    return counted
