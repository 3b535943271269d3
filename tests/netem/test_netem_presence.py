"""Presence, pace and delay by trace: arithmetic, against brute force and by hand."""

import asyncio
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netem.fidelity import FidelityMeter
from netem.link import Link, LinkParameters
from netem.machine import EmulatedMachine
from netem.pace import Pace
from netem.playback import AtEnd, Integral, Playback
from netem.presence import Presence
from netem.replay import DelayTrace
from netem.timer import ManualTimer
from profiles.trace import Intervals, Steps
from tests.netem.test_netem_link import Sender, Sent
from tests.netem.test_netem_machine import Host

END = 32


@st.composite
def presences(draw: st.DrawFn) -> tuple[Intervals, Playback]:
    edges = sorted(draw(st.sets(st.integers(0, END), max_size=8)))
    spans = tuple((a / 4, b / 4) for a, b in zip(edges[::2], edges[1::2], strict=False))
    offset_s = draw(st.integers(0, 50)) / 4
    return Intervals(spans, END / 4), Playback(100.0, offset_s, draw(st.sampled_from(AtEnd)))


def there(available: Intervals, playback: Playback, now_s: float) -> bool:
    position_s = playback.position_s(now_s)
    if position_s >= available.end_s:
        if playback.at_end is AtEnd.STOP:
            return False
        if playback.at_end is AtEnd.HOLD:
            return bool(available.spans_s) and available.spans_s[-1][1] == available.end_s
        position_s %= available.end_s
    return any(start_s <= position_s < stop_s for start_s, stop_s in available.spans_s)


@given(presences(), st.integers(0, 120))
@settings(max_examples=200)
def test_presence_and_its_next_change(case: tuple[Intervals, Playback], eighth: int) -> None:
    available, playback = case
    now_s = 100.0 + eighth / 4 + 1 / 8  # edges lie on quarters
    now, change_s = Presence(available, playback).until_s(now_s)
    assert now == there(available, playback, now_s)
    horizon_s = min(change_s, now_s + 20.0)
    steps = math.floor((horizon_s - now_s) * 4)
    assert all(there(available, playback, now_s + k / 4) == now for k in range(steps))
    if change_s < math.inf:
        assert there(available, playback, change_s + 1 / 8) != now


@pytest.mark.parametrize(("scale", "done_s"), [(1.0, 54.5), (2.0, 59.0)])
async def test_work_takes_longer_while_the_device_is_slower(scale: float, done_s: float) -> None:
    """4 s at full pace; half of it for the first 2 s, then none for 1 s, then double."""
    steps = Steps((0.0, 2.0, 3.0), (0.5, 0.0, 2.0), 10.0)
    speed = Integral(steps, Playback(50.0, 0.0, AtEnd.HOLD).scaled(scale))
    timer, meter = ManualTimer(50.0), FidelityMeter()
    machine = EmulatedMachine(Pace({"mac": 1.0}), Host(timer, 0.0), timer, meter, speed)
    running = asyncio.ensure_future(machine.run({"mac": 4.0}, lambda: "done"))
    for until_s, over in ((done_s - 1e-6, False), (done_s + 1e-6, True)):
        for _ in range(5):
            await asyncio.sleep(0)
        timer.advance(until_s)
        for _ in range(5):
            await asyncio.sleep(0)
        assert running.done() is over
    assert running.result() == "done"


def test_a_device_that_has_stopped_is_never_done() -> None:
    speed = Integral(Steps((0.0,), (1.0,), 5.0), Playback(0.0, 0.0, AtEnd.STOP))
    assert speed.finish_s(4.0, 0.0) == pytest.approx(4.0)
    assert speed.finish_s(6.0, 0.0) == math.inf


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_a_delay_follows_its_trace_in_order(scale: float) -> None:
    trace = DelayTrace(Steps((0.0, 1.0), (0.3, 0.1), 2.0), Playback(0.0))
    parameters = LinkParameters(1e6, trace.mean_s, variation=trace).scaled(scale)
    link: Link[Sent] = Link(parameters, 50.0)
    sender = Sender(link)
    dues = []
    for at_s in (0.5, 0.95, 1.01, 1.5, 2.5):
        dues += [t.due_s - 50.0 for t in sender.offer(1000, 50.0 + at_s * scale)]
    dues += [t.due_s - 50.0 for t in link.advance(1e3)]
    # What is sent at 1.01 s catches up with what went before, and waits for it.
    assert dues == pytest.approx(
        [s * scale for s in (0.8, 1.25, 1.25, 1.6, 2.8)], abs=0.005 * scale
    )
