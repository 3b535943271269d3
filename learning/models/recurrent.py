"""The character model for Shakespeare: two LSTM layers over one-hot characters, at FLuID's widths
(arXiv 2307.02623, public code)."""

from collections import OrderedDict
from math import sqrt

import numpy as np
import torch
from torch import nn

from learning.models.model import Model, described, layer
from learning.structure import Axis, Group, Parameter, Widths

SEQUENCE = 80
GATES = 4


class Lstm(nn.Module):
    """An LSTM layer with one bias (torch's own has two, which are only ever used as their sum):
    [n, steps, inputs] -> [n, steps, hidden]. Gates lie as torch has them: i, f, g, o."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.inputs, self.hidden = inputs, hidden
        self.weight_ih = nn.Parameter(torch.empty(GATES * hidden, inputs))
        self.weight_hh = nn.Parameter(torch.empty(GATES * hidden, hidden))
        self.bias = nn.Parameter(torch.empty(GATES * hidden))
        for parameter in self.parameters():  # torch's own rule for LSTM
            nn.init.uniform_(parameter, -1 / sqrt(hidden), 1 / sqrt(hidden))

    def forward(self, steps: torch.Tensor) -> torch.Tensor:
        start = steps.new_zeros(1, steps.shape[0], self.hidden)
        weights = [self.weight_ih, self.weight_hh, self.bias, torch.zeros_like(self.bias)]
        output, _, _ = torch.lstm(
            steps, [start, start], weights, True, 1, 0.0, self.training, False, True
        )
        return output

    def macs(self, output: torch.Tensor) -> dict[str, int]:
        steps = output.shape[0] * output.shape[1]
        rows = steps * GATES * self.hidden
        return {"weight_ih": rows * self.inputs, "weight_hh": rows * self.hidden}


class LastStep(nn.Module):
    """What the sequence came to: [n, steps, hidden] -> [n, hidden]."""

    def forward(self, steps: torch.Tensor) -> torch.Tensor:
        return steps[:, -1]


def character_lstm(classes: int, widths: tuple[int, int] = (128, 128)) -> Model:
    """Predicts the next of `classes` characters from the 80 before it: 248,912 parameters with 80.

    A dropped unit leaves all four gates, the recurrent matrix and the next layer's input.
    """
    first, second = (Group(f"lstm{i}", width) for i, width in enumerate(widths, 1))
    output = Group("output", classes, prunable=False)

    def build(widths: Widths) -> nn.Module:
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            lstm1=Lstm(classes, widths["lstm1"]),
            lstm2=Lstm(widths["lstm1"], widths["lstm2"]),
            last=LastStep(),
            output=nn.Linear(widths["lstm2"], classes),
        )
        return nn.Sequential(layers)

    parameters = [
        *_lstm(first, None, classes),
        *_lstm(second, first, first.size),
        *layer(output, second),
    ]
    return described([first, second, output], parameters, build, (SEQUENCE, classes))


def _lstm(group: Group, source: Group | None, inputs: int) -> list[Parameter]:
    gates = Axis(group.name, np.tile(np.arange(group.size), GATES))
    units = Axis(group.name, np.arange(group.size))
    inward = None if source is None else Axis(source.name, np.arange(source.size))
    rows = GATES * group.size
    return [
        Parameter(f"{group.name}.weight_ih", (rows, inputs), (gates, inward), "recurrent"),
        Parameter(f"{group.name}.weight_hh", (rows, group.size), (gates, units), "recurrent"),
        Parameter(f"{group.name}.bias", (rows,), (gates,)),
    ]
