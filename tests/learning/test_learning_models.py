"""The networks: published sizes and costs, oracles for the LSTM and for pruning, and that training
a sub-model of any of them is training the full model with those neurons masked."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from learning.models import MODELS, Model, brain_age_cnn, character_lstm, femnist_cnn, mlp, vgg9
from learning.models.recurrent import Lstm
from learning.structure import Keep, kept_sizes
from learning.submodel import SubModel

INPUTS: Mapping[str, tuple[int, ...]] = {
    "femnist-cnn": (1, 28, 28),
    "vgg9": (3, 32, 32),
    "character-lstm": (80, 7),
    "mlp": (1, 28, 28),
    "brain-age-cnn": (1, 8, 9, 8),
}
SMALL: Mapping[str, Model] = {
    "femnist-cnn": femnist_cnn(7, (3, 4, 6)),
    "vgg9": vgg9(7, (3, 4, 3, 4, 5, 4), (8, 6)),
    "character-lstm": character_lstm(7, (6, 5)),
    "mlp": mlp(7, (9, 6)),
    "brain-age-cnn": brain_age_cnn(7, (8, 9, 8), 0.5, (3, 4, 5, 4, 3, 4)),
}


@pytest.mark.parametrize(
    ("model", "parameters", "macs", "shares"),
    [
        (femnist_cnn(62), 410_022, 5_714_960, (0.883, 0.695, 0.573, 0.414, 0.264)),
        (vgg9(10), 1_469_994, 39_815_680, (0.885, 0.715, 0.567, 0.413, 0.256)),
        (character_lstm(80), 248_912, 19_015_680, (0.903, 0.735, 0.595, 0.460, 0.293)),
        (mlp(10), 118_282, 118_016, None),
        (brain_age_cnn(), 2_948_801, 11_374_228_768, None),
        (brain_age_cnn(grid=(23, 28, 23)), 2_948_801, 177_223_360, None),
    ],
)
def test_published_sizes_and_costs(
    model: Model, parameters: int, macs: int, shares: tuple[float, ...] | None
) -> None:
    """Parameters of FLuID's and FedSparsify's public code; relative cost at keep ratios .95, .85,
    .75, .65 and .5 as measured on FLuID's models."""
    structure = model.structure
    assert structure.size == parameters
    assert structure.forward_macs({}) == macs
    if shares is not None:
        kept = [kept_sizes(structure, ratio) for ratio in (0.95, 0.85, 0.75, 0.65, 0.5)]
        relative = [structure.forward_macs(widths) / macs for widths in kept]
        assert relative == pytest.approx(shares, abs=6e-4)


@pytest.mark.parametrize("ratio", [1.0, 0.7, 0.1])
def test_vgg9_costs_what_torch_counts(ratio: float) -> None:
    model = vgg9(10)
    widths = kept_sizes(model.structure, ratio)
    with torch.device("meta"):
        module, sample = model.build(widths), torch.empty(1, 3, 32, 32)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(sample)
    assert 2 * model.structure.forward_macs(widths) == counter.get_total_flops()


def test_the_lstm_is_torchs_with_its_two_biases_in_one() -> None:
    theirs, ours = nn.LSTM(5, 7, batch_first=True), Lstm(5, 7)
    weights = dict(theirs.named_parameters())
    state = {
        "weight_ih": weights["weight_ih_l0"],
        "weight_hh": weights["weight_hh_l0"],
        "bias": weights["bias_ih_l0"] + weights["bias_hh_l0"],
    }
    ours.load_state_dict(state)
    steps = torch.randn(3, 9, 5)
    assert torch.equal(ours(steps), theirs(steps)[0])


def half(model: Model) -> Keep:
    generator = np.random.default_rng(3)
    return {
        group: np.sort(generator.choice(size, max(1, size // 2), replace=False))
        for group, size in model.structure.sizes.items()
    }


@pytest.mark.parametrize("name", MODELS)
def test_training_a_sub_model_is_training_the_full_one_masked(name: str) -> None:
    """Masked: weights of dropped neurons are zero and stay so. A dropped LSTM unit whose weights
    are zero gives zero at every step, so the equality holds there too."""
    model, keep = SMALL[name], half(SMALL[name])
    sub = SubModel(model.structure, keep)
    start = model.initial_vector(0)
    generator = torch.Generator().manual_seed(5)
    inputs = torch.randn(12, *INPUTS[name], generator=generator)
    labels = torch.randint(0, 7, (12,), generator=generator)
    small, full = sub.extract(start), np.where(sub.mask, start, np.float32(0))
    masks = model.structure.named(sub.mask.astype(np.float32))
    steps(model.module(sub.widths, sub.named(small)), inputs, labels, {})
    steps(model.module(model.structure.sizes, model.structure.named(full)), inputs, labels, masks)
    assert np.abs(small - sub.extract(start)).max() > 1e-3
    np.testing.assert_allclose(sub.expand(small), full, atol=2e-5)


def steps(
    module: nn.Module,
    inputs: torch.Tensor,
    labels: torch.Tensor,
    masks: Mapping[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]],
) -> None:
    optimiser = torch.optim.SGD(module.parameters(), 0.05, momentum=0.5)
    for _ in range(3):
        optimiser.zero_grad()
        nn.functional.cross_entropy(module(inputs), labels).backward()  # type: ignore[no-untyped-call]
        for parameter_name, parameter in module.named_parameters():
            if masks and parameter.grad is not None:
                parameter.grad *= torch.from_numpy(masks[parameter_name])
        optimiser.step()


@pytest.mark.parametrize("name", ["femnist-cnn", "vgg9", "mlp"])
def test_a_sub_model_is_what_torch_pruning_leaves(name: str) -> None:
    pruning = pytest.importorskip("torch_pruning", reason="the oracle is an extra (dev)")
    model, keep = SMALL[name], half(SMALL[name])
    sub = SubModel(model.structure, keep)
    vector = model.initial_vector(1)
    module = model.module(model.structure.sizes, model.structure.named(vector.copy()))
    sample = torch.randn(2, *INPUTS[name])
    for group, kept in keep.items():
        dropped = sorted(set(range(model.structure.sizes[group])) - set(kept.tolist()))
        graph = pruning.DependencyGraph().build_dependency(module, example_inputs=sample)
        layer = module.get_submodule(group)
        convolution = isinstance(layer, nn.Conv2d)
        cut = pruning.prune_conv_out_channels if convolution else pruning.prune_linear_out_channels
        graph.get_pruning_group(layer, cut, idxs=dropped).prune()
    ours = sub.named(sub.extract(vector))
    theirs = dict(module.named_parameters())
    assert ours.keys() == theirs.keys()
    for parameter, tensor in ours.items():
        np.testing.assert_array_equal(tensor, theirs[parameter].detach().numpy())
