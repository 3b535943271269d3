"""The count of multiply-accumulates against torch's own counter, and what it refuses."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from learning.macs import count_macs
from learning.models import femnist_cnn


@pytest.mark.parametrize("widths", [(16, 64, 120), (8, 33, 60), (1, 1, 1)])
def test_the_count_is_torchs_own(widths: tuple[int, int, int]) -> None:
    model = femnist_cnn(62)
    chosen = dict(zip(model.structure.sizes, widths, strict=True))
    with torch.device("meta"):
        module, sample = model.build(chosen), torch.empty(1, 1, 28, 28)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(sample)
    assert 2 * model.structure.forward_macs(chosen) == counter.get_total_flops()


def test_grouped_convolutions_count_their_own_inputs_only() -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.Conv2d(4, 8, 3, padding=1, groups=4))

    assert count_macs(build, (4, 5, 5)) == {"0.weight": 8 * 5 * 5 * (4 // 4) * 9}


def test_a_layer_without_a_rule_is_refused() -> None:
    with pytest.raises(TypeError, match="LSTM: no rule"):
        count_macs(lambda: nn.Sequential(nn.LSTM(4, 4)), (3, 4))
