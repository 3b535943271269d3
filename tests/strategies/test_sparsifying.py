"""Who prunes what, as arithmetic: the coordinator after merging, clients before a vote."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from learning.sparsity import pruned_count
from learning.structure import Structure
from strategies import lookup
from strategies.neurons import History
from strategies.pruning import Merged, Pruning, Trained
from strategies.settings import SettingsError, StrategySettings

ROUNDS = 12


def made(name: str, structure: Structure, **changed: Any) -> Pruning:  # noqa: ANN401
    make = lookup(name).pruning
    assert make is not None
    return make(StrategySettings(**{"sparsity_rounds": ROUNDS, **changed}), structure)


def vector(structure: Structure, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=structure.size).astype(np.float32)


def played(pruning: Pruning, structure: Structure) -> list[np.ndarray]:
    """The survivors after each round in which everything moves a little."""
    model, kept = vector(structure, 0), np.ones(structure.size, bool)
    found = []
    for round_ in range(1, ROUNDS + 1):
        update = vector(structure, round_) * np.float32(0.05) * kept
        merged = Merged(model, update, kept, None, 5)
        model, kept = pruning.merge(round_, merged)
        assert not model[~kept].any()
        assert not np.signbit(model[~kept]).any()
        found.append(kept)
    return found


@pytest.mark.parametrize("name", ["fedsparsify-global", "random-gradual"])
def test_step_by_step_until_the_final_sparsity_is_exact(name: str, structure: Structure) -> None:
    found = played(made(name, structure, sparsity=0.9), structure)
    counts = [np.count_nonzero(kept) for kept in found]
    assert counts[0] == structure.size
    assert counts[-1] == structure.size - pruned_count(structure.size, 0.9)
    assert counts == sorted(counts, reverse=True)
    for earlier, later in pairwise(found):
        assert not np.any(later & ~earlier)


def test_the_merged_models_smallest_weights_go_and_random_ones_at_random(
    structure: Structure,
) -> None:
    model, kept = vector(structure, 3), np.ones(structure.size, bool)
    merged = Merged(model, np.zeros_like(model), kept, None, 5)
    _, by_magnitude = made("fedsparsify-global", structure).merge(ROUNDS, merged)
    assert np.abs(model[by_magnitude]).min() >= np.abs(model[~by_magnitude]).max()
    _, drawn = made("random-gradual", structure).merge(ROUNDS, merged)
    _, again = made("random-gradual", structure).merge(ROUNDS, merged)
    _, other = made("random-gradual", structure, seed=1).merge(ROUNDS, merged)
    assert np.array_equal(drawn, again)
    assert not np.array_equal(drawn, other)
    assert np.abs(model[drawn]).min() < np.abs(model[~drawn]).max()


@pytest.mark.parametrize(("chosen", "at"), [({}, 2), ({"one_shot_round": 7}, 7)])
def test_one_shot_prunes_in_one_round(
    structure: Structure, chosen: dict[str, int], at: int
) -> None:
    found = played(made("one-shot", structure, sparsity=0.8, **chosen), structure)
    pruned = [np.count_nonzero(~kept) for kept in found]
    target = pruned_count(structure.size, 0.8)
    assert pruned == [0] * (at - 1) + [target] * (ROUNDS - at + 1)


def test_snip_prunes_once_by_gradient_times_weight_and_trains_nothing_in_that_round(
    structure: Structure,
) -> None:
    pruning = made("snip", structure, sparsity=0.7)
    model, gradient = vector(structure, 1), vector(structure, 2)
    kept = np.ones(structure.size, bool)
    pruned, kept = pruning.merge(1, Merged(model, gradient, kept, None, 5))
    scores = np.abs(model * gradient)
    assert np.count_nonzero(~kept) == pruned_count(structure.size, 0.7)
    assert scores[kept].min() >= scores[~kept].max()
    np.testing.assert_array_equal(pruned, model * kept)
    trained, same = pruning.merge(2, Merged(pruned, gradient * kept, kept, None, 5))
    np.testing.assert_array_equal(trained, pruned + gradient * kept)
    assert same is kept


@pytest.mark.parametrize(
    ("clients", "votes", "survives"),
    [(5, 1, False), (5, 2, True), (4, 1, False), (4, 2, True), (1, 0, False), (1, 1, True)],
)
def test_a_majority_is_half_of_the_clients_rounded_down_and_never_nobody(
    structure: Structure, clients: int, votes: int, survives: bool
) -> None:
    model, kept = vector(structure, 0), np.ones(structure.size, bool)
    cast = np.full(structure.size, votes, np.int64)
    merged = Merged(model, np.zeros_like(model), kept, cast, clients)
    _, found = made("fedsparsify-local", structure).merge(3, merged)
    assert found.all() == survives
    assert found.any() == survives


@pytest.mark.parametrize("vote_mean", ["zeros", "voters"])
def test_a_client_prunes_its_own_weights_and_counts_as_zero_or_not_at_all(
    structure: Structure, vote_mean: str
) -> None:
    """With zeros, the weighted sum of updates gives the mean of pruned models; with voters only
    it is a sum over those that keep a weight."""
    pruning = made("fedsparsify-local", structure, sparsity=0.6, vote_mean=vote_mean)
    assert pruning.votes == ("weight" if vote_mean == "voters" else "count")
    kept = np.arange(structure.size) % 7 != 0
    before = vector(structure, 0) * kept
    update = vector(structure, 1) * kept
    sent, own = pruning.upload(ROUNDS, Trained(before, update, kept))
    assert own is not None
    assert np.count_nonzero(~own) == pruned_count(structure.size, 0.6)
    assert not np.any(own & ~kept)
    if vote_mean == "zeros":
        np.testing.assert_allclose(before + sent, (before + update) * own, atol=1e-6)
    else:
        np.testing.assert_array_equal(sent, update * own)


def test_layers_and_biases_are_settings(structure: Structure) -> None:
    biases = np.concatenate(
        [np.full(parameter.size, len(parameter.shape) == 1) for parameter in structure.parameters]
    )
    each = made("fedsparsify-global", structure, sparsity=0.5, sparsity_scope="layer")
    exempt = made("fedsparsify-global", structure, sparsity=0.5, prune_biases=False)
    shares = [
        1 - tensor.mean()
        for tensor in structure.named(played(each, structure)[-1].astype(np.float32)).values()
        if tensor.size > 20
    ]
    assert max(shares) - min(shares) < 0.02
    assert played(exempt, structure)[-1][biases].all()


@pytest.mark.parametrize(
    ("chosen", "rule"),
    [
        ({"sparsity_rounds": None}, "sparsity_rounds: must be known"),
        ({"sparsity_start": ROUNDS}, "sparsity_start: must lie in"),
        ({"sparsity": 0.995}, "sparsity: must be a number in"),
        ({"sparsity_every": 0}, "sparsity_every: must be an integer of at least 1"),
        ({"sparsity_exponent": 0}, "sparsity_exponent: must be a number above 0"),
        ({"sparsity_scope": "tensor"}, "sparsity_scope: must be one of global, layer"),
        ({"vote_mean": "all"}, "vote_mean: must be one of zeros, voters"),
        ({"prune_biases": 1}, "prune_biases: must be true or false"),
        ({"one_shot_round": 0}, "one_shot_round: must be None or an integer"),
    ],
)
def test_a_setting_that_makes_no_sense_is_one_line(
    structure: Structure, chosen: dict[str, Any], rule: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        made("fedsparsify-global", structure, **chosen)
    assert str(caught.value).startswith(f"strategy: {rule}")


def test_what_was_pruned_for_everybody_is_no_evidence_of_what_training_changes() -> None:
    history = History()
    history.see(1, np.array([1, 2, 3], np.float32))
    history.see(2, np.array([1.5, 0, 3], np.float32))
    change = history.change()
    assert change is not None
    assert change[0].tolist() == [1, 0, 3]
    assert change[1].tolist() == [0.5, 0, 0]
