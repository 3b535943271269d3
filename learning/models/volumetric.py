"""Networks for volumes: FedSparsify's for the age of a brain (arXiv 2208.11669, public code)."""

from collections import OrderedDict
from itertools import pairwise

import torch
from torch import nn

from learning.models.model import Model, described, layer
from learning.structure import Group, Widths

Grid = tuple[int, int, int]

FULL_GRID: Grid = (91, 109, 91)
BLOCKS = (32, 64, 128, 256, 256)
HEAD = 64


def brain_age_cnn(
    outputs: int = 1,
    grid: Grid = FULL_GRID,
    start: float = 0.0,
    widths: tuple[int, ...] = (*BLOCKS, HEAD),
) -> Model:
    """2,948,801 parameters with one output, whatever the grid; 11.4 GMAC a scan on the full one.

    Blocks of 3³ convolution, instance norm without weights of its own, halving and ReLU; a 1³
    convolution to the head, norm, ReLU, the mean over what positions are left (2 x 3 x 2 on the
    full grid), and a 1³ convolution to the output, whose bias begins at `start`: the mean age.
    Small grids (our choice): an axis is halved as long as two positions remain.
    """
    groups = [Group(f"conv{number}", width) for number, width in enumerate(widths, 1)]
    output = Group("output", outputs, prunable=False)
    head, halvings = groups[-1], _halvings(grid, len(groups) - 1)
    rest = tuple(side // 2 ** sum(h[axis] == 2 for h in halvings) for axis, side in enumerate(grid))

    def build(widths: Widths) -> nn.Module:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        inputs = 1
        for number, (group, halving) in enumerate(zip(groups[:-1], halvings, strict=True), 1):
            width = widths[group.name]
            layers[group.name] = nn.Conv3d(inputs, width, 3, padding=1)
            layers[f"norm{number}"] = nn.InstanceNorm3d(width)
            layers[f"pool{number}"] = nn.MaxPool3d(halving)
            layers[f"relu{number}"] = nn.ReLU()
            inputs = width
        layers[head.name] = nn.Conv3d(inputs, widths[head.name], 1)
        layers["norm_head"] = nn.InstanceNorm3d(widths[head.name])
        layers["relu_head"] = nn.ReLU()
        layers["mean"] = nn.AvgPool3d(rest)
        layers["output"] = _begun_at(nn.Conv3d(widths[head.name], outputs, 1), start)
        layers["flatten"] = nn.Flatten()
        return nn.Sequential(layers)

    parameters = layer(groups[0], None, inputs=1, kernel=(3, 3, 3))
    for source, group in pairwise(groups):
        parameters += layer(group, source, kernel=(1, 1, 1) if group is head else (3, 3, 3))
    parameters += layer(output, head, kernel=(1, 1, 1))
    return described([*groups, output], parameters, build, (1, *grid))


def _begun_at(output: nn.Conv3d, start: float) -> nn.Conv3d:
    """Weights of deviation 1 that add up to 0 (our choice): what they weigh is nearly alike in all
    channels of all scans, so that first answers are the mean age. By torch's rule they are 14 times
    smaller, and so is all that lower layers are told: they take many times as long to begin."""
    with torch.no_grad():
        nn.init.normal_(output.weight)
        output.weight -= output.weight.mean(dim=1, keepdim=True)
        if output.bias is not None:
            nn.init.constant_(output.bias, start)
    return output


def _halvings(grid: Grid, blocks: int) -> list[Grid]:
    """What each block's pooling takes together along each axis."""
    sides, found = list(grid), []
    for _ in range(blocks):
        halving = tuple(2 if side >= 4 else 1 for side in sides)
        sides = [side // step for side, step in zip(sides, halving, strict=True)]
        found.append((halving[0], halving[1], halving[2]))
    return found
