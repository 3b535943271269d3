"""How the loop of packet links waits: woken before its time, by what that takes at present."""

import math

import pytest

from netem.packet.waiting import AWAKE_SHARE, MOST_CREDIT_S, MOST_S, Waiting
from netem.packet.waiting import measured_wake_up_s as measured


def test_it_is_woken_as_much_earlier_as_waking_takes() -> None:
    waiting = Waiting(1e-4)
    assert waiting.wake_at(5.0, 1.0) == 5.0 - 1e-4
    assert waiting.wake_at(math.inf, 1.0) == math.inf
    assert Waiting(0.02).wake_at(5.0, 1.0) == 5.0 - MOST_S


def test_the_lead_follows_what_nine_wake_ups_of_ten_need() -> None:
    waiting = Waiting(0.0)
    for number in range(4000):
        waiting.woken_by_timer((1 + number * 7 % 100) * 1e-6)
    lead_s = 1.0 - waiting.wake_at(1.0, 0.0)
    assert lead_s == pytest.approx(9e-5, abs=2e-5)


def test_waiting_awake_ends_when_its_share_of_the_time_is_spent() -> None:
    waiting = Waiting(1e-4)
    waiting.wake_at(1.0, 0.0)
    waiting.stayed_awake(MOST_CREDIT_S)
    assert waiting.wake_at(1.0, 0.0) == 1.0, "it sleeps until the very instant"
    assert waiting.wake_at(1.0, 1e-3) == 1.0 - 1e-4
    waiting.stayed_awake(1e-3 * AWAKE_SHARE)
    assert waiting.wake_at(1.0, 1e-3) == 1.0


def test_what_wakes_it_came_before_but_not_before_it_slept() -> None:
    waiting = Waiting(1e-4)
    assert waiting.came_s(1.0, 2.0) == 2.0 - 1e-4
    assert waiting.came_s(1.0, 1.00001) == 1.0
    assert Waiting(0.02).came_s(1.0, 2.0) == 2.0 - MOST_S


def test_being_woken_takes_some_of_a_millisecond() -> None:
    assert 0 <= measured() < 1.0
