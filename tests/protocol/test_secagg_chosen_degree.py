"""How many neighbours to choose: the known values, the bounds against exact counting, refusals."""

from fractions import Fraction
from itertools import combinations
from math import comb, log2
from random import Random

import pytest

from protocol.errors import LocalError
from protocol.identity import Identity
from protocol.secagg.choosing import choose
from protocol.secagg.chosen_degree import (
    Foes,
    check_choice,
    check_chosen_degree,
    choose_chosen_degree,
    log2_crowd,
    log2_exposure,
    log2_shortage,
)
from protocol.secagg.chosen_graph import ChosenGraph
from protocol.secagg.graph import CompleteGraph
from protocol.secagg.keys import Sum
from protocol.secagg.pinned import Pinned
from protocol.secagg.regular_graph import RegularGraph
from protocol.secagg.terms import Terms

SUM = Sum(b"session-16-bytes", 7, 2)


@pytest.mark.parametrize(
    ("clients", "found"),
    [(20, (8, 6)), (50, (16, 11)), (100, (32, 22)), (1000, (96, 67)), (10_000, (122, 85))],
)
def test_the_fewest_for_a_tenth_corrupt_and_a_tenth_lost(
    clients: int, found: tuple[int, int]
) -> None:
    """20, 100 and 1000 are starting values worked out elsewhere."""
    foes = Foes(clients // 10)
    assert choose_chosen_degree(clients, foes, 0.1) == found
    check_chosen_degree(clients, *found, foes, 0.1)
    for threshold in range(2, found[0] - 1):  # two neighbours less: no threshold keeps all bounds
        with pytest.raises(LocalError):
            check_chosen_degree(clients, found[0] - 2, threshold, foes, 0.1)


def test_what_the_bounds_come_to() -> None:
    """1000 clients, 10 % and 10 %: 2^-43 and 2^-20.6. At 20 and 100 neither can happen."""
    assert log2_exposure(1000, 96, 67, Foes(100)) == pytest.approx(-43.1, abs=0.05)
    assert log2_shortage(1000, 96, 67, 100) == pytest.approx(-20.6, abs=0.05)
    for clients, degree, threshold in ((20, 8, 6), (100, 32, 22)):
        assert log2_exposure(clients, degree, threshold, Foes(clients // 10)) == -float("inf")
        assert log2_shortage(clients, degree, threshold, clients // 10) == -float("inf")


@pytest.mark.parametrize(
    ("clients", "degree", "threshold", "crowd"),
    [(20, 8, 6, 3), (100, 32, 22, 12), (1000, 96, 67, 233)],
)
def test_the_largest_crowd_that_is_sure(
    clients: int, degree: int, threshold: int, crowd: int
) -> None:
    check_choice(clients, degree, threshold, Foes(clients // 10, crowd))
    with pytest.raises(LocalError, match=rf"fewer than {crowd + 1} honest clients comes out"):
        check_choice(clients, degree, threshold, Foes(clients // 10, crowd + 1))


def test_a_larger_crowd_takes_more_neighbours() -> None:
    found = [choose_chosen_degree(20, Foes(2, crowd), 0.1) for crowd in (2, 3, 4, 12)]
    assert found == [(8, 6), (8, 6), (10, 8), (18, 16)]


@pytest.mark.parametrize(("degree", "threshold", "corrupt"), [(4, 3, 2), (5, 3, 3), (6, 4, 3)])
def test_exposure_and_crowds_by_counting(degree: int, threshold: int, corrupt: int) -> None:
    """A client's choices of eight, each counted: with 2t − k holders among the corrupt, or among
    the corrupt and one other."""
    needed = 2 * threshold - degree

    def share(marked: int) -> Fraction:
        bad = sum(
            len(set(choice) & set(range(marked))) >= needed
            for choice in combinations(range(7), degree)
        )
        return Fraction(bad, comb(7, degree))

    alone, pair = share(corrupt), share(corrupt + 1)
    honest = 8 - corrupt
    exposure = log2_exposure(8, degree, threshold, Foes(corrupt))
    assert exposure == pytest.approx(log2(8 * alone))
    assert log2_crowd(8, degree, threshold, Foes(corrupt, 2)) == pytest.approx(log2(honest * alone))
    two = honest * alone + comb(honest, 2) * pair**2
    assert log2_crowd(8, degree, threshold, Foes(corrupt, 3)) == pytest.approx(log2(two))


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ((20, 8, 5, Foes(2), 0.1), "both secrets of a client come out with probability up to 2^"),
        ((20, 8, 6, Foes(2, 5), 0.1), "a sum over fewer than 5 honest clients comes out"),
        ((20, 8, 7, Foes(2), 0.1), "too few of a client's neighbours survive with probability up"),
        ((20, 8, 6, Foes(2, 1), 0.1), "a crowd of 1 hides nobody"),
        ((20, 8, 6, Foes(20), 0.1), "both secrets"),
        ((20, 8, 6, Foes(2), 1.0), "fraction"),
    ],
)
def test_settings_that_miss_a_bound_are_refused(
    settings: tuple[int, int, int, Foes, float], rule: str
) -> None:
    with pytest.raises(LocalError) as refusal:
        check_chosen_degree(*settings)
    assert rule in str(refusal.value)
    if "probability" in str(refusal.value):
        assert "above 2^-" in str(refusal.value)
        assert "the complete graph, secagg," in str(refusal.value)


@pytest.mark.parametrize(
    ("clients", "foes", "lost"),
    [(10, Foes(4), 0.4), (20, Foes(2, 19), 0.1), (3, Foes(0), 0.5), (2, Foes(0), 0.0)],
)
def test_nothing_is_chosen_where_nothing_is_safe(clients: int, foes: Foes, lost: float) -> None:
    with pytest.raises(LocalError, match="complete graph"):
        choose_chosen_degree(clients, foes, lost)


def test_every_choice_is_equally_likely() -> None:
    """3 of 5 others, drawn 4000 times: ten sets, each about a tenth of the time."""
    terms = Terms(SUM, ChosenGraph(range(6), 3, {}), 2)
    counts: dict[tuple[int, ...], int] = {}
    state = Random(5)
    for _ in range(4000):
        chosen = choose(terms, 2, state.randbytes).graph.holders(2)
        counts[chosen] = counts.get(chosen, 0) + 1
    assert sorted(counts) == sorted(combinations((0, 1, 3, 4, 5), 3))
    assert 340 < min(counts.values()) <= max(counts.values()) < 460  # 400 ± 19


def test_randomness_that_gives_too_little() -> None:
    terms = Terms(SUM, ChosenGraph(range(6), 3, {}), 2)
    with pytest.raises(LocalError, match="too few bytes"):
        choose(terms, 2, lambda size: bytes(size - 1))
    with pytest.raises(LocalError, match="nobody chooses"):
        choose(Terms.complete(SUM, (1, 2, 3), 2), 2, bytes)


def test_who_holds_and_who_owns() -> None:
    graph = ChosenGraph((1, 4, 6, 8), 2, {1: (4, 6), 4: (1, 8), 6: (1, 4)})
    assert [graph.holders(c) for c in graph.clients] == [(4, 6), (1, 8), (1, 4), ()]
    assert [graph.owners(c) for c in graph.clients] == [(4, 6), (1, 6), (1,), (4,)]
    assert [graph.neighbours(c) for c in graph.clients] == [(4, 6), (1, 6, 8), (1, 4), (4,)]
    assert graph.fewest_holders == 2


@pytest.mark.parametrize("degree", [1, 4, 5])
def test_graphs_of_no_use(degree: int) -> None:
    with pytest.raises(LocalError, match="at least 2 and below the 4"):
        ChosenGraph((1, 4, 6, 8), degree, {})


def test_terms_that_a_client_refuses_beforehand() -> None:
    public = {client: Identity(bytes([client]) * 32).public for client in range(20)}
    clients = tuple(range(20))
    good = Terms(SUM, ChosenGraph(clients, 8, {}), 6)
    assert Pinned(good, public, 2, 3)
    with pytest.raises(LocalError, match="fewer than 4 honest clients"):
        Pinned(good, public, 2, 4)
    with pytest.raises(LocalError, match="both secrets"):
        Pinned(Terms(SUM, ChosenGraph(clients, 8, {}), 4), public, 2)
    with pytest.raises(LocalError, match="complete or of the clients' choice"):
        Pinned(Terms(SUM, RegularGraph.drawn(clients, 8, bytes(32), SUM), 6), public, 2)
    with pytest.raises(LocalError, match=r"\+ 4 against"):
        Pinned(Terms(SUM, CompleteGraph(clients[:5]), 5), public, 2, 4)
