from collections.abc import Mapping

import pytest

from strategies.deadline import DEADLINE
from strategies.interface import Cutoff, ServerHalf
from strategies.settings import StrategySettings
from tests.strategies.conftest import dense_network

JOINED = list(range(20))
ARRIVALS = {client: 10.0 + 0.01 * client for client in JOINED} | {7: 40.0, 3: 30.0}


def half(**changed: object) -> ServerHalf:
    settings = StrategySettings(**changed)  # type: ignore[arg-type]
    return DEADLINE.server(settings, dense_network())


def cutoffs(server: ServerHalf, rounds: int, arrivals: Mapping[int, float]) -> list[Cutoff | None]:
    found = []
    for round_ in range(1, rounds + 1):
        assert server.participants(round_, JOINED, arrivals) == JOINED
        assert server.left_out() == {}
        found.append(server.cutoff(round_))
    return found


def test_the_deadline_is_a_margin_above_the_slowest_client_that_is_no_straggler() -> None:
    first, second, third = cutoffs(half(warmup_rounds=2), 3, ARRIVALS)
    assert first is second is None
    assert third is not None
    assert third.after_s == pytest.approx(10.19 * 1.1)
    assert third.at_least == 16


def test_everybody_is_waited_for_once_in_a_while() -> None:
    found = cutoffs(half(warmup_rounds=1, renewal_rounds=3), 10, ARRIVALS)
    assert [number for number, cutoff in enumerate(found, 1) if cutoff is None] == [1, 5, 9]


def test_in_between_it_does_not_follow_those_it_cut_to_size() -> None:
    server = half(warmup_rounds=1)
    cutoffs(server, 2, ARRIVALS)
    before = server.cutoff(2)
    server.participants(3, JOINED, dict.fromkeys(JOINED, 1.0))
    assert server.cutoff(3) == before


def test_a_deadline_that_is_given_holds_after_warm_up() -> None:
    found = cutoffs(half(warmup_rounds=1, deadline_s=12.5, straggler_share=0.05), 3, {})
    assert found == [None, Cutoff(12.5, 19), Cutoff(12.5, 19)]


@pytest.mark.parametrize("arrivals", [{}, {7: 40.0}])
def test_without_times_to_judge_by_nobody_is_cut_off(arrivals: dict[int, float]) -> None:
    assert cutoffs(half(warmup_rounds=1), 3, arrivals) == [None, None, None]
