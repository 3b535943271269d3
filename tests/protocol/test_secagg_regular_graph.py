"""SecAgg+: the graph, the bounds that choose it, and whole sums over it."""

import hashlib
from fractions import Fraction
from itertools import combinations, product
from math import comb, log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import LocalError, ProtocolError, TooFewSurvivors
from protocol.messages import Plan, SealedShares, Unmask
from protocol.secagg import cost
from protocol.secagg.keys import Randomness, Sum
from protocol.secagg.regular_graph import (
    RegularGraph,
    check_degree,
    choose_degree,
    risks,
)
from protocol.secagg.rehearsal import Lost, Rehearsal
from protocol.secagg.terms import Terms

SUM = Sum(b"session-16-bytes", 7, 2)
SEED = hashlib.sha256(b"graph").digest()


def source(client: int) -> Randomness:
    return np.random.default_rng(client).bytes


@settings(max_examples=60)
@given(
    ids=st.lists(st.integers(0, 2**32 - 1), min_size=3, max_size=40, unique=True), data=st.data()
)
def test_the_graph_is_regular_symmetric_and_connected(ids: list[int], data: st.DataObject) -> None:
    clients = sorted(ids)
    degree = data.draw(st.integers(1, (len(ids) - 1) // 2)) * 2
    graph = RegularGraph.drawn(clients, degree, SEED, SUM)
    for client in clients:
        near = graph.neighbours(client)
        assert len(set(near)) == degree
        assert list(near) == sorted(near)
        assert client not in near
        assert all(client in graph.neighbours(other) for other in near)
        assert graph.holders(client) == near
    reached, frontier = {clients[0]}, [clients[0]]
    while frontier:
        new = set(graph.neighbours(frontier.pop())) - reached
        reached |= new
        frontier += new
    assert reached == set(clients) == set(graph.clients)


def test_everyone_draws_the_same_graph_and_each_sum_another() -> None:
    clients = tuple(range(30))
    graphs = [
        RegularGraph.drawn(clients, 4, SEED, SUM),
        RegularGraph.drawn(clients, 4, SEED, Sum(SUM.session, 7, 3)),
        RegularGraph.drawn(clients, 4, SEED, Sum(SUM.session, 8, 2)),
        RegularGraph.drawn(clients, 4, hashlib.sha256(SEED).digest(), SUM),
    ]
    again = RegularGraph.drawn(clients, 4, SEED, SUM)
    around = [tuple(graph.neighbours(c) for c in clients) for graph in graphs]
    assert tuple(again.neighbours(c) for c in clients) == around[0]
    assert len(set(around)) == len(graphs)
    assert graphs[0].neighbours(0) == (8, 15, 25, 26)  # golden: HMAC-SHA256 tags, sorted


@pytest.mark.parametrize(
    ("clients", "pair"), [(20, (6, 3)), (50, (12, 6)), (100, (22, 11)), (1000, (46, 26))]
)
def test_neighbours_and_threshold_for_ten_percent_corrupt_and_lost(
    clients: int, pair: tuple[int, int]
) -> None:
    """Derived here; at n = 1000 values in use elsewhere are (48, 27), which pass as well."""
    assert choose_degree(clients, 0.1, 0.1) == pair
    check_degree(clients, *pair, 0.1, 0.1)
    check_degree(1000, 48, 27, 0.1, 0.1)
    check_degree(10_000, 54, 31, 0.1, 0.1)


@pytest.mark.parametrize(
    ("settings_", "what"),
    [
        ((1000, 46, 25, 0.1, 0.1), "corrupt neighbours reach the threshold"),
        ((1000, 46, 27, 0.1, 0.1), "too few neighbours survive"),
        ((1000, 8, 8, 0.1, 0.0), "corrupt neighbours reach the threshold"),
        ((1000, 4, 3, 0.0, 0.2), "fall into parts"),
        ((20, 4, 3, 0.0, 0.1), "too few neighbours survive"),
        ((20, 6, 2, 0.1, 0.1), "corrupt neighbours reach the threshold"),
    ],
)
def test_settings_that_miss_a_bound_are_refused(
    settings_: tuple[int, int, int, float, float], what: str
) -> None:
    with pytest.raises(LocalError, match=rf"{what} with probability up to 2\^.*above 2\^-"):
        check_degree(*settings_)


def test_nothing_is_chosen_where_nothing_is_safe() -> None:
    with pytest.raises(LocalError, match="complete graph"):
        choose_degree(10, 0.4, 0.4)
    for fraction in (-0.1, 1.0, float("nan")):
        with pytest.raises(LocalError, match="fraction"):
            choose_degree(10, fraction, 0.1)


@pytest.mark.parametrize("case", list(product((12, 40, 200), (4, 10), (3, 4), (0.1, 0.25))))
def test_tails_are_exact(case: tuple[int, int, int, float]) -> None:
    """Against Python's fractions, a union over n clients."""
    clients, degree, threshold, share = case
    marked = -int(-share * clients // 1)
    found = risks(clients, degree, threshold, share, share)

    def tail(least: int) -> Fraction:
        ways = (
            comb(marked, i) * comb(clients - 1 - marked, degree - i)
            for i in range(least, min(marked, degree) + 1)
        )
        return clients * Fraction(sum(ways), comb(clients - 1, degree))

    for bits, exact in (
        (found.collusion, tail(threshold)),
        (found.shortage, tail(degree - threshold + 1)),
    ):
        if exact:
            assert bits == pytest.approx(log2(exact), abs=1e-9)
        else:
            assert bits == float("-inf")


@pytest.mark.parametrize(("clients", "degree", "missing"), [(9, 2, 3), (10, 4, 5), (11, 4, 6)])
def test_the_bound_on_separation_holds(clients: int, degree: int, missing: int) -> None:
    """Every set of that many missing clients, counted: not above the bound, and not zero."""
    graph = RegularGraph(range(clients), degree, range(clients))
    apart = 0
    for gone in combinations(range(clients), missing):
        left = set(range(clients)) - set(gone)
        reached, frontier = {min(left)}, [min(left)]
        while frontier:
            new = (set(graph.neighbours(frontier.pop())) & left) - reached
            reached |= new
            frontier += new
        apart += reached != left
    bound = risks(clients, degree, 2, missing / clients, 0.0).separation
    assert 0 < apart / comb(clients, missing) <= 2**bound


@settings(max_examples=40)
@given(data=st.data(), seed=st.integers(0, 1000))
def test_the_masked_sum_is_the_plain_sum(data: st.DataObject, seed: int) -> None:
    """Over random losses: the exact sum, or a clear error exactly if some secret has too few
    holders left at the end of a phase."""
    clients = tuple(range(0, 60, 5))
    degree, threshold = data.draw(st.sampled_from([(4, 2), (6, 3), (6, 2), (10, 6)]))
    graph = RegularGraph.drawn(clients, degree, SEED, SUM)
    lost = data.draw(st.dictionaries(st.sampled_from(clients), st.sampled_from(Lost), max_size=5))
    generator = np.random.default_rng(seed)
    vectors = {c: generator.integers(0, 2**32, 50, np.uint32) for c in clients}
    plain = {c: words.copy() for c, words in vectors.items()}
    rehearsal = Rehearsal(Terms(SUM, graph, threshold), source, lost)

    def present(phase: Lost) -> set[int]:
        return {c for c in clients if lost.get(c, 9) > phase}

    shared = present(Lost.SHARES)
    starved = [present(Lost.KEYS), shared, shared, shared]
    enough = all(
        len(set(graph.holders(owner)) & present(phase)) >= threshold
        for phase, owners in zip(Lost, starved, strict=True)
        for owner in owners
    )
    if not enough:
        with pytest.raises(TooFewSurvivors):
            rehearsal.run(vectors, 32)
        return
    expected = sum((plain[c] for c in present(Lost.VECTOR)), np.zeros(50, np.uint32))
    assert (rehearsal.run(vectors, 32) == expected).all()


def test_only_neighbours_are_told_and_tell() -> None:
    clients = tuple(range(12))
    graph = RegularGraph.drawn(clients, 4, SEED, SUM)
    rehearsal = Rehearsal(Terms(SUM, graph, 3), source, {5: Lost.VECTOR})
    vectors = {c: np.zeros(4, "<u4") for c in clients}
    rehearsal.run(vectors, 32)
    for client, item in rehearsal.heard:
        near = set(graph.neighbours(client))
        if isinstance(item, SealedShares):
            assert set(item.sealed) == near
        if isinstance(item, Unmask):
            assert set(item.self_seed_shares) == near - {5}
            assert set(item.masking_key_shares) == near & {5}
    assert set(rehearsal.server.roster_for(0).keys) == {0, *graph.neighbours(0)}


def test_sharing_costs_what_few_holders_take() -> None:
    """Nobody holds shares of its own secrets here: as many holders as peers."""
    rehearsal = Rehearsal(Terms(SUM, RegularGraph.drawn(range(12), 4, SEED, SUM), 3), source)
    rehearsal.keys()
    client = rehearsal.clients[0]
    client.receive_roster(rehearsal.server.roster_for(0))
    assert client.share_cost() == cost.share(4, 4, 3)
    assert len(client.share(b"").sealed) == 4
    assert client.tally == cost.share(4, 4, 3)


def test_a_plan_sets_the_graph() -> None:
    plan = Plan(7, 2, tuple(range(9)), "secagg+", 2, neighbours=4, graph_seed=SEED)
    terms = Terms.of_plan(SUM.session, plan)
    drawn = RegularGraph.drawn(plan.clients, 4, SEED, SUM)
    assert [terms.graph.neighbours(c) for c in range(9)] == [drawn.neighbours(c) for c in range(9)]


@pytest.mark.parametrize(
    ("neighbours", "threshold", "seed", "rule"),
    [
        (3, 2, SEED, "must be even"),
        (0, 2, SEED, "at least 2"),
        (10, 2, SEED, "below the 9"),
        (4, 5, SEED, "more than the 4"),
        (4, 1, SEED, "below 2"),
        (4, 2, b"", "must be 32 bytes"),
    ],
)
def test_plans_that_set_no_safe_graph_are_refused(
    neighbours: int, threshold: int, seed: bytes, rule: str
) -> None:
    plan = Plan(7, 2, tuple(range(9)), "secagg+", threshold, neighbours, seed)
    with pytest.raises(ProtocolError, match=rule):
        Terms.of_plan(SUM.session, plan)


def test_a_ring_holds_everybody_once() -> None:
    for order in ((0, 1, 2), (0, 1, 2, 2), (0, 1, 2, 4)):
        with pytest.raises(LocalError, match="every participant once"):
            RegularGraph(range(4), 2, order)
