"""Delays that wander: mean and spread kept, in order, the same whatever is sent."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netem.channel import Piece, Signal
from netem.fidelity import FidelityMeter
from netem.impairment import ImpairmentError
from netem.jitter import DISTRIBUTIONS, Jitter, JitterCourse, least_deviate
from netem.link import Link, LinkError, LinkParameters
from netem.pipe import Pipe
from netem.timer import ManualTimer
from profiles.jitter import SHAPES
from tests.netem.test_netem_link import Sender, Sent


def samples(course: JitterCourse, count: int, step_s: float) -> np.ndarray:
    return np.array([course.extra_s(i * step_s) for i in range(count)])


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_mean_spread_and_correlation_are_those_asked_for(distribution: str) -> None:
    """Over 30,000 correlation times. What bends a normal deviate takes from its correlation."""
    spread_s, correlation_s = 0.01, 0.2
    course = Jitter(spread_s, correlation_s, distribution, (1,)).course()
    got = samples(course, 60_000, correlation_s / 2)
    assert abs(got.mean()) < 0.0005
    assert got.std() == pytest.approx(spread_s, rel=0.05)
    assert np.corrcoef(got[:-2], got[2:])[0, 1] == pytest.approx(1 / math.e, abs=0.12)
    assert got.min() >= least_deviate(distribution) * spread_s - 1e-12


@pytest.mark.parametrize(
    ("distribution", "skewness"), [("normal", 0.0), ("gamma", 2 / math.sqrt(2)), ("pareto", 3.9)]
)
def test_the_shape_is_that_of_the_distribution(distribution: str, skewness: float) -> None:
    """Gamma of shape 2 has the skewness 2/√2; that of Pareto of shape 4 is 7.07, and 3.9 with its
    tail ended at 14 spreads."""
    got = samples(Jitter(1.0, 20.0, distribution, (2,)).course(), 60_000, 4.0)
    found = float(np.mean(((got - got.mean()) / got.std()) ** 3))
    assert found == pytest.approx(skewness, abs=0.15 + 0.2 * skewness)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("spread_s", [0.001, 0.02])
def test_a_link_delivers_in_order_with_that_mean_and_spread(
    distribution: str, spread_s: float
) -> None:
    """At the least correlation that is allowed, where keeping the order costs most; judged by
    what order changes, so that chance does not count."""
    correlation_s = SHAPES[distribution].least_correlation * spread_s
    jitter = Jitter(spread_s, correlation_s, distribution, (3,))
    link: Link[Sent] = Link(LinkParameters(1e6, 0.1, variation=jitter))
    sender, free = Sender(link), jitter.course()
    transits = sender.offer(20_000_000, 0.0) + link.advance(1e9)
    assert all(a.due_s <= b.due_s for a, b in pairwise(transits))
    delays = np.array([t.due_s - t.sent_s for t in transits])
    without_order = np.array([0.1 + free.extra_s(t.sent_s) for t in transits])
    assert abs(delays.mean() - without_order.mean()) < 0.0005
    assert delays.std() == pytest.approx(without_order.std(), rel=0.05)


@given(st.lists(st.floats(-5, 1e6), max_size=20), st.integers(0, 2**63))
@settings(max_examples=30)
def test_a_course_depends_on_seed_and_time_alone(times_s: list[float], seed: int) -> None:
    jitter = Jitter(0.01, 0.1, "gamma", (seed, 7))
    asked_often = jitter.course()
    for time_s in times_s:
        assert asked_often.extra_s(time_s) == jitter.course().extra_s(time_s)


def test_another_seed_is_another_course() -> None:
    one, other = (samples(Jitter(0.01, 0.1, seed=(s,)).course(), 5000, 0.1) for s in (1, 2))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.1


def test_time_scale_stretches_spread_and_course() -> None:
    plain = Jitter(0.01, 0.1, "pareto" if SHAPES["pareto"].least_correlation <= 10 else "normal")
    stretched = plain.scaled(4.0).course()
    for time_s in (0.0, 0.33, 17.2):
        expected = 4 * plain.course().extra_s(time_s)
        assert stretched.extra_s(4 * time_s) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("spread_s", "correlation_s", "distribution", "rule"),
    [
        (0.0, 0.1, "normal", "spread_s must be positive"),
        (math.nan, 0.1, "normal", "spread_s must be positive"),
        (0.01, math.inf, "normal", "correlation_s must be positive"),
        (0.01, 0.1, "uniform", "distribution must be one of normal, gamma, pareto"),
        (0.01, 0.049, "gamma", "at least 5 times the spread"),
        (0.01, 0.19, "pareto", "at least 20 times the spread"),
    ],
)
def test_impossible_jitters_are_refused(
    spread_s: float, correlation_s: float, distribution: str, rule: str
) -> None:
    with pytest.raises(ImpairmentError, match=rule):
        Jitter(spread_s, correlation_s, distribution)


def test_a_delay_never_falls_below_zero() -> None:
    with pytest.raises(LinkError, match=r"delay_s must be at least 0\.035"):
        LinkParameters(1e6, 0.03, variation=Jitter(0.01, 0.1))
    assert LinkParameters(1e6, 0.0, variation=None).delay_s == 0


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_profiles_know_where_each_distribution_ends(distribution: str) -> None:
    below = SHAPES[distribution].below
    assert below - 0.02 < -least_deviate(distribution) <= below
    assert DISTRIBUTIONS.keys() == SHAPES.keys()


def test_a_late_pipe_delivers_at_the_same_delays_and_finds_no_rate_error() -> None:
    timer, meter = ManualTimer(100.0), FidelityMeter()
    jitter = Jitter(0.01, 0.1)
    pipe = Pipe(LinkParameters(1e6, 0.05, variation=jitter), timer, meter)
    got: list[float] = []

    class Far:
        def arrived(self, items: list[Piece | Signal]) -> None:
            got.append(timer.now())

        def sent(self) -> None:
            pass

    pipe.channel(Far()).send(bytes(1_000_000))
    timer.advance(102.0)
    pipe.close()
    assert pipe.passed.payload == 1_000_000
    first_sent_s = 3 * 1514 / 1e6
    assert got[0] == pytest.approx(
        100 + first_sent_s + 0.05 + jitter.course().extra_s(first_sent_s)
    )
    assert meter.measured().rate_error_max == pytest.approx(0.0, abs=1e-6)
