import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.structure import Keep, Structure, Vector
from learning.submodel import SubModel
from strategies.evidence import LocalEvidenceChoice, drop_order, threshold_for
from strategies.interface import Decision, Outcome, RoundView, full
from strategies.settings import StrategySettings

SCORES = st.lists(st.floats(0, 100), min_size=1, max_size=30)


@given(SCORES, st.integers(0, 30), st.floats(1.01, 4))
@settings(max_examples=200)
def test_the_threshold_stops_growing_as_soon_as_enough_qualify(
    values: list[float], needed: int, growth: float
) -> None:
    score, needed = np.array(values), min(needed, len(values))
    threshold = threshold_for(score, needed, growth)
    assert (score <= threshold).sum() >= needed
    assert threshold >= score.min()
    if threshold > score.min() and threshold > score[score > 0].min():
        assert (score <= threshold / growth * (1 - 1e-9)).sum() < needed


@pytest.mark.parametrize(
    ("values", "needed", "expected"),
    [
        ([0.5, 0.1, 0.3], 0, 0.1),
        ([0.5, 0.1, 0.3], 1, 0.1),
        ([0.5, 0.1, 0.3], 2, 0.4),
        ([0.5, 0.1, 0.3], 3, 0.8),
        ([0.0, 0.0, 0.3], 2, 0.0),
        ([0.0, 0.1, 0.3], 2, 0.1),
        ([0.1, math.inf], 2, math.inf),
        ([0.0, math.inf], 2, math.inf),
        ([5e-324, 1.0], 2, 1.0),  # a product would never leave the least float
    ],
)
def test_the_threshold_doubles_from_the_least_score(
    values: list[float], needed: int, expected: float
) -> None:
    assert threshold_for(np.array(values), needed, 2.0) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("values", "streaks", "threshold", "expected"),
    [
        pytest.param([3, 1, 2], [0, 0, 0], 0, [1, 2, 0], id="lowest scores when none qualifies"),
        pytest.param([3, 1, 2], [0, 0, 1], 2, [2, 1, 0], id="dropped and still invariant first"),
        pytest.param([3, 1, 2], [1, 0, 0], 2, [1, 2, 0], id="dropped but no longer invariant"),
        pytest.param([1, 1, 1], [0, 0, 0], 1, [0, 1, 2], id="ties by index"),
        pytest.param([2, 1, 3, 0], [1, 1, 0, 0], 9, [1, 0, 3, 2], id="by score within a tier"),
        pytest.param([1, 2, 3], [4, 0, 0], 9, [1, 2, 0], id="overdue comes back"),
        pytest.param([1, 1, 3], [5, 4, 0], 9, [2, 1, 0], id="the longest dropped first of all"),
        pytest.param([1, 2, 3], [3, 0, 0], 9, [0, 1, 2], id="not overdue yet"),
        pytest.param([math.inf, 1, 2], [1, 0, 0], 2, [1, 2, 0], id="no evidence is kept"),
    ],
)
def test_the_order_in_which_neurons_are_dropped(
    values: list[float], streaks: list[int], threshold: float, expected: list[int]
) -> None:
    order = drop_order(np.array(values, float), np.array(streaks), threshold, renewal_rounds=4)
    assert order.tolist() == expected


def test_a_looser_threshold_holds_on_to_what_was_dropped() -> None:
    """Neurons 0 and 1 were dropped last round; 2 and 3 change a little less by now."""
    score, streak = np.array([0.14, 0.15, 0.10, 0.12, 0.9]), np.array([1, 1, 0, 0, 0])
    dropped = {
        growth: set(drop_order(score, streak, threshold_for(score, 2, growth), 5)[:2].tolist())
        for growth in (1.01, 1.45, 2.0)
    }
    assert dropped == {1.01: {2, 3}, 1.45: {0, 2}, 2.0: {0, 1}}


class Client:
    """A client that trains as it decides; what changes in its layers is the test's business."""

    def __init__(self, structure: Structure, renewal_rounds: int = 99) -> None:
        self.structure = structure
        settings = StrategySettings(renewal_rounds=renewal_rounds, threshold_growth=1.01)
        self.choice = LocalEvidenceChoice(structure, settings)

    def train(self, round_: int, model: Vector, update: Vector, ratio: float = 1.0) -> Keep:
        self.choice.see(RoundView(round_, 0, {}, model))
        keep: Keep = {}
        if ratio < 1:
            found = self.choice.keep(ratio)
            assert found is not None
            keep = found
        decision = Decision(ratio, keep, True, None, None, "")
        masked = update * SubModel(self.structure, keep).mask
        self.choice.observe(Outcome(round_, decision, masked, 1.0, 1.0))
        return keep


def changing(structure: Structure, firsts: dict[int, float]) -> Vector:
    """An update that touches the first layer's biases only."""
    update = np.zeros(structure.size, np.float32)
    for neuron, size in firsts.items():
        structure.named(update)["first.bias"][neuron] = size
    return update


@pytest.fixture
def ones(structure: Structure) -> Vector:
    return np.ones(structure.size, np.float32)


def test_own_evidence_decides_where_it_was_trained(structure: Structure, ones: Vector) -> None:
    client = Client(structure)
    own = changing(structure, dict.fromkeys(range(10), 1.0))
    elsewhere = changing(structure, dict.fromkeys(range(10, 20), 1.0))
    client.train(1, ones, own)
    keep = client.train(2, ones + elsewhere, own, ratio=0.5)
    assert keep["first"].tolist() == list(range(10))


def test_the_global_model_speaks_for_dropped_neurons(structure: Structure, ones: Vector) -> None:
    client = Client(structure)
    own = changing(structure, dict.fromkeys(range(10), 0.5))
    client.train(1, ones, own)
    client.train(2, ones + own, own, ratio=0.5)  # keeps 0..9, drops 10..19
    revived = changing(structure, {12: 2.0, 15: 2.0})
    keep = client.train(3, ones + own + revived, own, ratio=0.5)
    assert {12, 15} <= set(keep["first"])
    assert len(keep["first"]) == 10


def test_neurons_dropped_too_long_come_back_for_a_round(structure: Structure, ones: Vector) -> None:
    client = Client(structure, renewal_rounds=3)
    own = changing(structure, dict.fromkeys(range(15), 0.5))
    kept = []
    client.train(1, ones, own)
    for round_ in range(2, 8):
        model = ones + np.float32(0.01 * round_) * own
        kept.append(set(client.train(round_, model, own, ratio=0.75)["first"].tolist()))
    late = {15, 16, 17, 18, 19}
    assert [late <= keep for keep in kept] == [False, False, False, True, False, False]
    assert [late & keep for keep in kept[:3]] == [set()] * 3
    assert {len(keep) for keep in kept} == {15}


def test_another_attempt_is_no_further_round_of_being_dropped(
    structure: Structure, ones: Vector
) -> None:
    client = Client(structure, renewal_rounds=2)
    own = changing(structure, dict.fromkeys(range(10), 0.5))
    client.train(1, ones, own)
    rounds = [2, 2, 2, 3, 4]
    kept = [client.train(r, ones + np.float32(r) * own, own, ratio=0.5)["first"] for r in rounds]
    assert [keep.tolist() == list(range(10)) for keep in kept] == [True] * 4 + [False]
    assert kept[-1].tolist() == list(range(10, 20))


def test_without_any_evidence_it_cannot_judge(structure: Structure, ones: Vector) -> None:
    choice = LocalEvidenceChoice(structure, StrategySettings())
    assert choice.keep(0.5) is None
    choice.see(RoundView(7, 0, {}, ones))
    assert choice.keep(0.5) is None


def test_a_round_not_finished_leaves_no_evidence(structure: Structure, ones: Vector) -> None:
    choice = LocalEvidenceChoice(structure, StrategySettings())
    choice.see(RoundView(7, 0, {}, ones))
    choice.observe(Outcome(7, full("test"), None, 0.0, 0.0))
    choice.observe(Outcome(6, full("test"), ones, 0.0, 0.0))
    assert choice.keep(0.5) is None


def test_a_client_that_was_away_judges_by_its_own_evidence(
    structure: Structure, ones: Vector
) -> None:
    client = Client(structure)
    own = changing(structure, dict.fromkeys(range(10), 1.0))
    client.train(1, ones, own)
    keep = client.train(9, ones, own, ratio=0.5)
    assert keep["first"].tolist() == list(range(10))


def test_a_dead_neuron_is_no_reason_to_fail(structure: Structure) -> None:
    model = np.zeros(structure.size, np.float32)
    structure.named(model)["second.bias"][:] = 1.0
    client = Client(structure)
    client.train(1, model, np.zeros_like(model))
    moved = model.copy()
    structure.named(moved)["second.bias"][5] = 2.0
    keep = client.train(2, moved, np.zeros_like(model), ratio=0.5)
    assert len(keep["first"]) == 10
    assert len(keep["second"]) == 20
