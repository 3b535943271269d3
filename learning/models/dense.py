"""Dense networks: FedSparsify's for Fashion-MNIST (arXiv 2208.11669, public code)."""

from collections import OrderedDict

from torch import nn

from learning.models.model import Model, described, layer
from learning.structure import Group, Widths

PIXELS = 28 * 28


def mlp(classes: int, widths: tuple[int, int] = (128, 128)) -> Model:
    """784-128-128-classes for grey 28 x 28 images: 118,282 parameters with 10 classes."""
    first, second = (Group(f"dense{i}", width) for i, width in enumerate(widths, 1))
    output = Group("output", classes, prunable=False)

    def build(widths: Widths) -> nn.Module:
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            flatten=nn.Flatten(),
            dense1=nn.Linear(PIXELS, widths["dense1"]),
            relu1=nn.ReLU(),
            dense2=nn.Linear(widths["dense1"], widths["dense2"]),
            relu2=nn.ReLU(),
            output=nn.Linear(widths["dense2"], classes),
        )
        return nn.Sequential(layers)

    parameters = [
        *layer(first, None, inputs=PIXELS),
        *layer(second, first),
        *layer(output, second),
    ]
    return described([first, second, output], parameters, build, (1, 28, 28))
