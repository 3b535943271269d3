"""Convolutional networks for images: FEMNIST's and CIFAR-10's, at FLuID's widths
(arXiv 2307.02623, public code)."""

from collections import OrderedDict
from itertools import pairwise

from torch import nn

from learning.models.model import Model, described, layer
from learning.structure import Group, Widths


def femnist_cnn(classes: int, widths: tuple[int, int, int] = (16, 64, 120)) -> Model:
    """The FEMNIST network: 410,022 parameters with 62 classes.

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
        *layer(conv1, None, inputs=1, kernel=(5, 5)),
        *layer(conv2, conv1, kernel=(5, 5)),
        *layer(dense1, conv2, positions=49),
        *layer(output, dense1),
    ]
    return described(groups, parameters, build, (1, 28, 28))


CONV_WIDTHS = (32, 32, 64, 64, 128, 128)
DENSE_WIDTHS = (512, 256)


def vgg9(
    classes: int,
    conv_widths: tuple[int, ...] = CONV_WIDTHS,
    dense_widths: tuple[int, ...] = DENSE_WIDTHS,
) -> Model:
    """VGG-9 for 32 x 32 colour images: 1,469,994 parameters with 10 classes.

    Pairs of 3 x 3 convolutions, each pair followed by a halving, then two hidden dense layers.
    Weights start by He's rule (arXiv 1502.01852): with torch's own the signal fades by a factor
    of about 1.7 a layer, and nine layers without normalisation do not begin to learn (our choice).
    """
    convs = [Group(f"conv{i}", width) for i, width in enumerate(conv_widths, 1)]
    dense = [Group(f"dense{i}", width) for i, width in enumerate(dense_widths, 1)]
    output = Group("output", classes, prunable=False)
    positions = (32 >> len(convs) // 2) ** 2

    def build(widths: Widths) -> nn.Module:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        inputs = 3
        for number, group in enumerate(convs, 1):
            layers[group.name] = nn.Conv2d(inputs, widths[group.name], 3, padding=1)
            layers[f"relu_{group.name}"] = nn.ReLU()
            if number % 2 == 0:
                layers[f"pool{number // 2}"] = nn.MaxPool2d(2)
            inputs = widths[group.name]
        layers["flatten"] = nn.Flatten()
        inputs *= positions
        for group in dense:
            layers[group.name] = nn.Linear(inputs, widths[group.name])
            layers[f"relu_{group.name}"] = nn.ReLU()
            inputs = widths[group.name]
        layers["output"] = nn.Linear(inputs, classes)
        return _he(nn.Sequential(layers))

    parameters = layer(convs[0], None, inputs=3, kernel=(3, 3))
    for source, group in pairwise(convs):
        parameters += layer(group, source, kernel=(3, 3))
    parameters += layer(dense[0], convs[-1], positions=positions)
    for source, group in zip(dense, [*dense[1:], output], strict=True):
        parameters += layer(group, source)
    return described([*convs, *dense, output], parameters, build, (3, 32, 32))


def _he(module: nn.Sequential) -> nn.Module:
    for each in module:
        if isinstance(each, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(each.weight, nonlinearity="relu")
            if each.bias is not None:
                nn.init.zeros_(each.bias)
    return module
