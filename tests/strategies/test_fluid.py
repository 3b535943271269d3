"""FLuID's coordinator: who is a straggler, how much it trains, and which neurons are invariant."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.structure import Keep, Structure, Vector, kept_sizes
from learning.submodel import SubModel
from strategies.fluid import FLUID, Fluid, keep_ratio_for
from strategies.instruction import InstructionError, decode_keep, encode_keep
from strategies.interface import RoundView
from strategies.rates import FitCurve
from strategies.settings import StrategySettings
from tests.strategies.conftest import dense_network

STRUCTURE = dense_network()
CLIENTS = list(range(10))
ARRIVALS = {client: 10.0 + 0.01 * client for client in CLIENTS} | {7: 20.0, 3: 13.0}


@pytest.mark.parametrize(
    ("r", "ratio"),
    [(1.0, 0.95), (0.9, 0.95), (0.89, 0.85), (0.8, 0.85), (0.7, 0.75), (0.6, 0.65), (0.59, 0.5)],
)
def test_the_published_table_of_keep_ratios(r: float, ratio: float) -> None:
    assert keep_ratio_for(r) == ratio


def network(seed: int) -> Vector:
    return np.random.default_rng(seed).normal(size=STRUCTURE.size).astype(np.float32)


def still(neurons: dict[str, list[int]], model: Vector, round_: int) -> Vector:
    """An update that changes every weight by half but those of these neurons, which change less
    and less: below the threshold that was learnt in an earlier round."""
    update = np.abs(model) * np.float32(0.5)
    for group, chosen in neurons.items():
        others = np.setdiff1d(np.arange(STRUCTURE.sizes[group]), chosen)
        theirs = ~SubModel(STRUCTURE, {group: others}).mask
        update[theirs] = np.float32(1e-4 / 4**round_) * np.abs(model[theirs])
    return update


class Played:
    """Rounds of a fleet whose updates leave the same neurons as they are."""

    def __init__(self, neurons: dict[str, list[int]], **changed: object) -> None:
        self.half = Fluid(StrategySettings(**changed), STRUCTURE)  # type: ignore[arg-type]
        self.neurons = neurons
        self.round = 0

    def play(self, arrivals: dict[int, float] = ARRIVALS) -> dict[int, tuple[float, Keep]]:
        """What each client is told in the round."""
        self.round += 1
        assert self.half.participants(self.round, CLIENTS, arrivals) == CLIENTS
        told = {client: self.half.instruction(client) for client in CLIENTS}
        model = network(self.round)
        for client in CLIENTS:
            self.half.see(client, model, still(self.neurons, model, self.round))
        return {c: decode_keep(STRUCTURE, what) for c, what in told.items() if what}


STILL = {"first": [2, 5, 11], "second": list(range(10, 24))}


def test_stragglers_train_without_invariant_neurons_once_votes_are_in() -> None:
    played = Played(STILL, warmup_rounds=2)
    assert [played.play() for _ in range(3)] == [{}, {}, {}]
    fourth = played.play()
    assert {client: ratio for client, (ratio, _) in fourth.items()} == {7: 0.5, 3: 0.75}
    sizes = kept_sizes(STRUCTURE, 0.75)
    _, keep = fourth[3]
    assert {group: len(kept) for group, kept in keep.items()} == sizes
    assert not set(keep["first"]) & set(STILL["first"])
    dropped = set(range(40)) - set(keep["second"].tolist())
    assert dropped <= set(STILL["second"])


def test_smaller_sub_models_are_parts_of_larger_ones_and_orders_last() -> None:
    played = Played(STILL, warmup_rounds=1)
    rounds = [played.play() for _ in range(6)]
    for told in rounds[2:]:
        (_, small), (_, large) = told[7], told[3]
        for group in STRUCTURE.sizes:
            assert set(small[group]) <= set(large[group])
    kept = [set(told[7][1]["second"].tolist()) for told in rounds[3:]]
    still_dropped = set(STILL["second"]).isdisjoint
    assert all(still_dropped(each) for each in kept)


def test_too_few_invariant_neurons_are_filled_up_at_random_by_the_seed() -> None:
    def fill(seed: int) -> set[int]:
        played = Played({"first": [2]}, warmup_rounds=1, seed=seed)
        told = [played.play() for _ in range(3)][2]
        return set(told[7][1]["second"].tolist())

    assert fill(0) == fill(0) != fill(1)


def test_a_quarter_of_the_voters_may_differ() -> None:
    def dropped(differing: int) -> bool:
        half = Fluid(StrategySettings(warmup_rounds=1, straggler_share=0.2), STRUCTURE)
        for round_ in (1, 2, 3):
            half.participants(round_, CLIENTS, ARRIVALS)
            model = network(round_)
            voters = [client for client in CLIENTS if client not in (3, 7)]
            for place, client in enumerate(voters):
                same = still({"first": [4]}, model, round_)
                other = still({"second": [4]}, model, round_)
                half.see(client, model, other if place < differing and round_ == 2 else same)
        _, keep = decode_keep(STRUCTURE, half.instruction(7))
        return 4 not in keep["first"]

    assert dropped(2)  # 6 of 8 agree
    assert not dropped(3)  # 5 of 8 are too few, and the random fill by seed 0 spares it


def test_a_straggler_is_replaced_only_by_one_clearly_slower() -> None:
    played = Played(STILL, warmup_rounds=1)
    for _ in range(3):
        played.play()
    assert set(played.play()) == {3, 7}
    pruned = ARRIVALS | {7: 10.0, 3: 10.0, 1: 10.9}
    assert set(played.play(pruned)) == {3, 7}
    told = played.play(ARRIVALS | {7: 10.0, 3: 10.5, 1: 16.0})
    assert set(told) == {1, 3}
    assert told[1][0] == 0.65  # 10.5 / 16


def test_the_threshold_grows_by_schedule() -> None:
    schedule = StrategySettings(
        warmup_rounds=1, threshold_after=4, threshold_every=2, threshold_step=0.25
    )
    half = Fluid(schedule, STRUCTURE)
    found: list[float | None] = []
    for round_ in range(1, 10):
        half.participants(round_, CLIENTS, ARRIVALS)
        for client in CLIENTS:
            half.see(client, network(round_), still(STILL, network(round_), round_))
        found.append(half._thresholds["first"] if half._thresholds else None)
    assert found[0] is None
    grown = [b - a for a, b in pairwise(found[2:]) if a is not None and b is not None]
    assert grown == pytest.approx([0, 0, 0, 0.25, 0, 0.25])


def test_the_client_trains_what_it_is_told(structure: Structure, curve: FitCurve) -> None:
    client = FLUID.client(StrategySettings(), 1, structure, curve)
    assert client.note() == b""
    assert client.decide(RoundView(1, 1, {}, network(0))).keep == {}
    keep = {"first": np.array([1, 4]), "second": np.arange(40)}
    decision = client.decide(RoundView(1, 1, {}, network(0), encode_keep(structure, keep, 0.5)))
    assert (decision.keep_ratio, decision.straggler) == (0.5, True)
    assert decision.keep["first"].tolist() == [1, 4]


@settings(max_examples=50)
@given(st.tuples(*(st.integers(1, 2**size - 1) for size in STRUCTURE.sizes.values())))
def test_instructions_survive_the_wire(bits: tuple[int, ...]) -> None:
    keep = {
        group: np.array([neuron for neuron in range(size) if chosen >> neuron & 1])
        for (group, size), chosen in zip(STRUCTURE.sizes.items(), bits, strict=True)
    }
    ratio, found = decode_keep(STRUCTURE, encode_keep(STRUCTURE, keep, 0.65))
    assert ratio == 0.65
    assert {g: k.tolist() for g, k in found.items()} == {g: k.tolist() for g, k in keep.items()}


WHOLE = encode_keep(STRUCTURE, {}, 0.5)


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        (b"", "has 0 bytes"),
        (WHOLE[:-1], "has 15 bytes"),
        (WHOLE + b"\0", "has 17 bytes"),
        (b"\x7f\xf8" + WHOLE[2:], r"keep ratio must be in \(0, 1\]"),
        (bytes(8) + WHOLE[8:], r"keep ratio must be in \(0, 1\]"),
        (WHOLE[:-1] + b"\xff", None),
        (WHOLE[:8] + b"\0\0\x0f" + WHOLE[11:], "keeps no neuron of first"),
    ],
)
def test_instructions_that_are_none_are_refused(said: bytes, rule: str | None) -> None:
    if rule is None:  # 60 neurons: four bits are beyond the last
        said, rule = WHOLE[:-1] + bytes([WHOLE[-1] | 1]), "bits set beyond the last neuron"
    with pytest.raises(InstructionError, match=rule):
        decode_keep(STRUCTURE, said)
