import pytest

from strategies.exclude import EXCLUDE
from strategies.settings import StrategySettings
from tests.strategies.conftest import dense_network

STRUCTURE = dense_network()
JOINED = list(range(20))
ARRIVALS = {client: 10.0 + 0.01 * client for client in JOINED} | {7: 40.0, 3: 30.0}


def test_stragglers_stay_out_between_examinations_and_everybody_is_re_examined() -> None:
    server = EXCLUDE.server(StrategySettings(warmup_rounds=2, renewal_rounds=3), STRUCTURE)
    sizes = [len(server.participants(round_, JOINED, ARRIVALS)) for round_ in range(1, 12)]
    assert sizes == [20, 20, 18, 18, 18, 20, 18, 18, 18, 20, 18]


def test_it_says_who_is_left_out_and_why() -> None:
    server = EXCLUDE.server(StrategySettings(warmup_rounds=1), STRUCTURE)
    server.participants(1, JOINED, {})
    assert server.left_out() == {}
    chosen = server.participants(2, JOINED, ARRIVALS)
    assert set(JOINED) - set(chosen) == set(server.left_out()) == {3, 7}
    assert server.left_out()[7] == "arrived after 40 s, the others by 10.2 s"


def test_who_became_fast_takes_part_again_and_who_became_slow_does_not() -> None:
    server = EXCLUDE.server(StrategySettings(warmup_rounds=1, renewal_rounds=1), STRUCTURE)
    server.participants(1, JOINED, {})
    assert 7 not in server.participants(2, JOINED, ARRIVALS)
    assert 7 in server.participants(3, JOINED, ARRIVALS)
    changed = ARRIVALS | {7: 10.0, 0: 50.0}
    chosen = server.participants(4, JOINED, changed)
    assert 7 in chosen
    assert 0 not in chosen


@pytest.mark.parametrize("arrivals", [{}, {7: 40.0}, dict.fromkeys(JOINED, 5.0)])
def test_without_a_difference_to_judge_by_everybody_takes_part(arrivals: dict[int, float]) -> None:
    server = EXCLUDE.server(StrategySettings(), STRUCTURE)
    assert server.participants(3, JOINED, arrivals) == JOINED


def test_a_resumed_coordinator_judges_as_soon_as_it_knows_arrivals() -> None:
    server = EXCLUDE.server(StrategySettings(), STRUCTURE)
    assert server.participants(4, JOINED, {}) == JOINED
    assert len(server.participants(5, JOINED, ARRIVALS)) == 18


def test_who_never_arrived_or_came_later_is_not_judged() -> None:
    server = EXCLUDE.server(StrategySettings(), STRUCTURE)
    chosen = server.participants(3, [*JOINED, 99], ARRIVALS)
    assert 99 in chosen
    assert 3 not in chosen
