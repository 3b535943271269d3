"""Records read ahead of the clock: as if the clock were elsewhere, and exactly as without while the
lead is 0."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netem.alignment import (
    AlignedCapacity,
    AlignedPresence,
    AlignedSpeed,
    AlignedVariation,
    Alignment,
)
from netem.playback import AtEnd, Integral, Playback
from netem.presence import Presence
from netem.replay import DelayTrace, OpportunityCapacity, SteppedCapacity
from profiles.trace import Intervals, Opportunities, Steps

STEPS = Steps((0.0, 10.0, 20.0), (1000.0, 100.0, 500.0), 30.0)
PLAYBACK = Playback(100.0, 0.0, AtEnd.HOLD)
times = st.floats(100.0, 130.0)


@given(times, st.floats(1.0, 1e4), st.floats(0.3, 3.0))
def test_without_a_lead_nothing_differs_by_a_bit(at_s: float, size: float, scale: float) -> None:
    plain = SteppedCapacity(STEPS, PLAYBACK).scaled(scale)
    aligned = AlignedCapacity(SteppedCapacity(STEPS, PLAYBACK), Alignment()).scaled(scale)
    assert aligned.wire().send(size, at_s) == plain.wire().send(size, at_s)
    assert aligned.carried_bytes(at_s, at_s + 1) == plain.carried_bytes(at_s, at_s + 1)
    assert aligned.bytes_per_s == plain.bytes_per_s
    speed = Integral(STEPS, PLAYBACK)
    assert AlignedSpeed(speed, Alignment(), 1.0).finish_s(size, at_s) == speed.finish_s(size, at_s)


@given(times, st.floats(1.0, 1e4), st.floats(0.0, 20.0))
def test_a_lead_is_a_later_clock(at_s: float, size: float, lead_s: float) -> None:
    alignment = Alignment()
    alignment.align(position_s=lead_s, clock_s=0.0)
    plain = SteppedCapacity(STEPS, PLAYBACK)
    aligned = AlignedCapacity(plain, alignment)
    assert aligned.wire().send(size, at_s) + lead_s == pytest.approx(
        plain.wire().send(size, at_s + lead_s)
    )


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_everything_jumps_together(scale: float) -> None:
    """To 10 s of the record at 4 s of the clock, in emulated seconds."""
    alignment = Alignment()
    playback = PLAYBACK.scaled(scale)
    at_s = 100.0 + 4.0 * scale
    capacity = AlignedCapacity(SteppedCapacity(STEPS, PLAYBACK), alignment).scaled(scale)
    speed = AlignedSpeed(Integral(STEPS, playback), alignment, scale)
    presence = Presence(Intervals(((0.0, 15.0), (18.0, 30.0)), 30.0), playback)
    there = AlignedPresence(presence, alignment, scale)
    wander = DelayTrace(STEPS, Playback(0.0, 0.0, AtEnd.HOLD))
    course = AlignedVariation(wander, alignment).scaled(scale).course()
    wire = capacity.wire()
    alignment.align(10.0, 4.0)
    assert wire.send(100.0, at_s) == pytest.approx(at_s + scale)
    assert speed.finish_s(100.0, at_s) == pytest.approx(at_s + scale)
    present, until_s = there.until_s(at_s)
    assert present
    assert until_s == pytest.approx(at_s + 5.0 * scale)
    extra_s = course.extra_s(4.0 * scale)
    assert extra_s == pytest.approx((100.0 - wander.mean_s) * scale)


def test_opportunities_that_were_used_come_again_where_the_record_goes_back() -> None:
    alignment = Alignment()
    ways = OpportunityCapacity(Opportunities((1000, 2000, 3000), 4.0), Playback(0.0, 0.0))
    wire = AlignedCapacity(ways, alignment).wire()
    assert wire.send(ways.grain_bytes, 0.5) == pytest.approx(1.0)
    assert wire.send(ways.grain_bytes, 1.5) == pytest.approx(2.0)
    alignment.align(0.5, 2.5)
    assert wire.send(ways.grain_bytes, 2.5) == pytest.approx(3.0), "the first one, again"


def test_who_waits_hears_of_a_move_and_of_nothing_else() -> None:
    heard: list[float] = []
    alignment = Alignment()
    told: Callable[[], None] = lambda: heard.append(alignment.lead_s)  # noqa: E731
    alignment.on_move.append(told)
    alignment.align(5.0, 5.0)
    alignment.align(7.0, 5.0)
    alignment.align(9.0, 7.0)
    assert heard == [2.0]
