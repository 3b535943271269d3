"""Links that follow a trace: against brute force, Mahimahi's own algorithm, and the link's laws."""

import math
from bisect import bisect_left
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netem.fidelity import FidelityMeter
from netem.link import FRAME_BYTES, Link, LinkError, LinkParameters, Transit, wire_bytes
from netem.pipe import Pipe
from netem.playback import AtEnd, Integral, Playback
from netem.replay import OpportunityCapacity, ReplayError, SteppedCapacity, TraceCapacity, follow
from netem.timer import ManualTimer
from profiles.trace import Opportunities, Steps
from tests.netem.test_netem_fidelity import Feeder
from tests.netem.test_netem_link import Sender, Sent

EPOCH_S = 1000.0


@st.composite
def stepped(draw: st.DrawFn) -> Steps:
    gaps = draw(st.lists(st.integers(1, 30), min_size=1, max_size=8))
    rates = draw(st.lists(st.sampled_from([0, 1e3, 5e4, 1e6]), min_size=len(gaps)))
    edges = [0.0]
    for gap in gaps:
        edges.append(edges[-1] + gap / 8)
    return Steps(tuple(edges[:-1]), tuple(map(float, rates[: len(gaps)])), edges[-1])


@st.composite
def playbacks(draw: st.DrawFn) -> Playback:
    at_end = draw(st.sampled_from(AtEnd))
    return Playback(
        EPOCH_S, draw(st.integers(0, 40)) / 8, at_end, draw(st.sampled_from([1.0, 2.0]))
    )


def brute(steps: Steps, playback: Playback, from_s: float, to_s: float) -> float:
    """The integral by eighths of a second of the trace, on whose grid all its edges lie."""
    position, end = playback.position_s(from_s), playback.position_s(to_s)
    total = 0.0
    while position < end:
        step = min(math.floor(position * 8 + 1) / 8, end) - position
        middle = position + step / 2
        if middle < steps.end_s or playback.at_end is AtEnd.LOOP:
            inside = middle % steps.end_s
            total += step * steps.values[bisect_left(steps.at_s, inside) - 1]
        elif playback.at_end is AtEnd.HOLD:
            total += step * steps.values[-1]
        position += step
    return total


@given(stepped(), playbacks(), st.floats(0, 60), st.floats(0, 60))
@settings(max_examples=150)
def test_the_integral_is_what_brute_force_finds(
    steps: Steps, playback: Playback, from_s: float, lasting_s: float
) -> None:
    start_s, end_s = EPOCH_S + from_s, EPOCH_S + from_s + lasting_s
    expected = brute(steps, playback, start_s, end_s)
    found = Integral(steps, playback).over(start_s, end_s)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-4)


@given(stepped(), playbacks(), st.floats(0, 60), st.floats(1, 1e7))
@settings(max_examples=200)
def test_finishing_inverts_the_integral(
    steps: Steps, playback: Playback, from_s: float, amount: float
) -> None:
    integral, start_s = Integral(steps, playback), EPOCH_S + from_s
    finish_s = integral.finish_s(amount, start_s)
    if finish_s == math.inf:
        assert integral.over(start_s, start_s + 1e6) < amount * (1 + 1e-9)
        return
    assert finish_s >= start_s
    assert integral.over(start_s, finish_s) == pytest.approx(amount, rel=1e-6, abs=1e-3)
    early_s = finish_s - 1e-3  # and not a moment earlier: outages are not waited out
    assert early_s < start_s or integral.over(start_s, early_s) < amount


@pytest.mark.parametrize(
    ("at_end", "finish_s"), [(AtEnd.LOOP, 3.5), (AtEnd.HOLD, 2.5), (AtEnd.STOP, math.inf)]
)
def test_the_end_of_a_trace(at_end: AtEnd, finish_s: float) -> None:
    """1000 bytes/s for 2 s after an outage of 1 s, from its middle: 2500 bytes."""
    steps = Steps((0.0, 1.0), (0.0, 1000.0), 3.0)
    capacity = SteppedCapacity(steps, Playback(0.0, 1.5, at_end))
    assert capacity.send(2500, 0.0) == pytest.approx(finish_s)


def test_a_load_waits_out_an_outage_but_none_begins_early() -> None:
    steps = Steps((0.0, 1.0, 3.0), (1000.0, 0.0, 2000.0), 4.0)
    capacity = SteppedCapacity(steps, Playback(0.0))
    assert capacity.send(1000, 0.0) == pytest.approx(1.0), "done as the outage begins"
    assert capacity.send(1500, 0.0) == pytest.approx(3.25)
    assert capacity.send(100, 2.0) == pytest.approx(3.05)


class Mahimahi:
    """src/frontend/link_queue.cc of Mahimahi, line for line, in milliseconds; it loops."""

    def __init__(self, schedule: list[int], packet: int) -> None:
        self.schedule, self.packet = schedule, packet
        self.next, self.base = 0, 0
        self.queue: list[int] = []
        self.in_transit = 0
        self.sent_ms: list[int] = []

    def rationalize(self, now_ms: int) -> None:
        while self.base + self.schedule[self.next] <= now_ms:
            this_ms = self.base + self.schedule[self.next]
            left = self.packet
            self.next = (self.next + 1) % len(self.schedule)
            if self.next == 0:
                self.base += self.schedule[-1]
            while left > 0:
                if not self.in_transit:
                    if not self.queue:
                        break
                    self.in_transit = self.queue.pop(0)
                amount = min(left, self.in_transit)
                self.in_transit -= amount
                left -= amount
                if not self.in_transit:
                    self.sent_ms.append(this_ms)

    def arrive(self, now_ms: int, size: int) -> None:
        self.rationalize(now_ms)
        self.queue.append(size)


@given(
    st.lists(st.integers(0, 20), min_size=1, max_size=30),
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 4000)), min_size=1, max_size=30),
)
@settings(max_examples=200)
def test_opportunities_are_used_as_mahimahi_does(
    gaps: list[int], arrivals: list[tuple[int, int]]
) -> None:
    at_ms = [sum(gaps[: i + 1]) for i in range(len(gaps))]
    at_ms[-1] += 1
    oracle = Mahimahi(at_ms, FRAME_BYTES)
    capacity = OpportunityCapacity(Opportunities(tuple(at_ms), at_ms[-1] / 1000), Playback(0.0))
    wire, free_s, found, now_ms = capacity.wire(), -math.inf, [], 0
    for gap_ms, size in arrivals:
        now_ms += gap_ms
        oracle.arrive(now_ms, size)
        free_s = wire.send(size, max(free_s, (now_ms + 0.5) / 1000))  # between opportunities
        found.append(round(free_s * 1000))
    while len(oracle.sent_ms) < len(arrivals):
        now_ms += 100
        oracle.rationalize(now_ms)
    assert found == oracle.sent_ms


def test_what_nobody_uses_is_lost_and_the_rest_of_one_serves_the_next() -> None:
    capacity = OpportunityCapacity(Opportunities((10, 10, 20, 30, 50), 0.05), Playback(0.0))
    wire = capacity.wire()
    assert wire.send(100, 0.015) == pytest.approx(0.020)
    assert wire.send(FRAME_BYTES - 100, 0.020) == pytest.approx(0.020), "the rest of that one"
    assert wire.send(1, 0.020) == pytest.approx(0.030)
    assert wire.send(1, 0.031) == pytest.approx(0.050), "the rest was lost"
    assert wire.send(3 * FRAME_BYTES, 0.051) == pytest.approx(0.070), "the trace loops"
    assert capacity.carried_bytes(0.0, 0.05) == 5 * FRAME_BYTES
    assert capacity.bytes_per_s == pytest.approx(5 * FRAME_BYTES / 0.05)


TRACES: list[TraceCapacity] = [
    follow(Steps((0.0, 0.2, 0.5), (2e5, 0.0, 3e6), 0.7), Playback(0.0, 0.1)),
    follow(Opportunities((0, 1, 1, 1, 40, 41, 300), 0.3), Playback(0.0, 0.05), 2.0),
]


@pytest.mark.parametrize("capacity", TRACES)
@given(
    st.lists(st.tuples(st.floats(0, 0.3), st.integers(0, 3), st.integers(1, 60_000)), max_size=15),
    st.lists(st.floats(0, 5), max_size=15),
)
@settings(max_examples=60)
def test_a_varying_link_keeps_the_laws(
    capacity: TraceCapacity, plan: list[tuple[float, int, int]], polls: list[float]
) -> None:
    def play(polled: list[float]) -> list[Transit[Sent]]:
        link: Link[Sent] = Link(LinkParameters.following(capacity, 0.02))
        senders = [Sender(link) for _ in range(4)]
        events, now_s = [(at_s, -1, 0) for at_s in polled], 0.0
        for gap_s, flow, payload in plan:
            now_s += gap_s
            events.append((now_s, flow, payload))
        transits = []
        for at_s, flow, payload in sorted(events, key=lambda event: event[0]):
            transits += senders[flow].offer(payload, at_s) if flow >= 0 else link.advance(at_s)
        return transits + link.advance(1e6)

    transits = play(polls)
    late = [(t.start_s, t.sent_s, t.load.payload_bytes) for t in play([])]
    assert [(t.start_s, t.sent_s, t.load.payload_bytes) for t in transits] == late
    assert sum(t.load.payload_bytes for t in transits) == sum(n for _, _, n in plan)
    for a, b in pairwise(transits):
        assert a.sent_s <= b.start_s
    quantum_bytes = 20 * FRAME_BYTES  # of which a part may have been on the wire before
    for first, last in pairwise([t.sent_s for t in transits][::3]):
        sent = sum(t.load.wire_bytes for t in transits if first < t.sent_s <= last)
        assert sent <= capacity.carried_bytes(first, last) * (1 + 1e-6) + quantum_bytes


@pytest.mark.parametrize("capacity", TRACES)
@given(st.sampled_from([0.5, 3.0]))
def test_time_scale_stretches_a_trace(capacity: TraceCapacity, scale: float) -> None:
    scaled = capacity.scaled(scale)
    plain, stretched = capacity.wire(), scaled.wire()
    at_s = scaled_s = 0.0
    for size in (100, 1514, 40_000, 7, 200_000):
        at_s, scaled_s = plain.send(size, at_s), stretched.send(size, scaled_s)
        assert scaled_s == pytest.approx(at_s * scale)
    assert scaled.bytes_per_s == pytest.approx(capacity.bytes_per_s / scale)
    assert scaled.carried_bytes(0, 2 * scale) == pytest.approx(capacity.carried_bytes(0, 2))
    parameters = LinkParameters.following(capacity, 0.1).scaled(scale)
    assert parameters.delay_s == pytest.approx(0.1 * scale)
    assert parameters.varying == scaled


@pytest.mark.parametrize("late_s", [0.0, 0.002, 0.05])
@pytest.mark.parametrize("capacity", TRACES)
def test_lateness_costs_a_varying_link_no_throughput(
    capacity: TraceCapacity, late_s: float
) -> None:
    """And the meter, which judges against the trace's own schedule, finds no fault without it."""
    timer, meter = ManualTimer(), FidelityMeter()
    pipe = Pipe(LinkParameters.following(capacity, 0.02), timer, meter)
    Feeder(pipe, 10_000_000)
    timer.advance(4.0, late_s)
    carried = capacity.carried_bytes(0.0, 3.98 - 2 * late_s)
    assert pipe.passed.wire >= carried - 20 * FRAME_BYTES  # a quantum may be on its way
    pipe.close()
    error = meter.measured().rate_error_max
    assert error is not None
    assert error <= 1e-6 + late_s / 3


def test_what_cannot_be_played_is_refused() -> None:
    some = Opportunities((0, 5), 0.005)
    with pytest.raises(ReplayError, match="no last value"):
        follow(some, Playback(0.0, 0.0, AtEnd.HOLD))
    for scale in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ReplayError, match="scale"):
            follow(some, Playback(0.0), scale)
    with pytest.raises(ReplayError, match="carries nothing"):
        follow(Steps((0.0,), (0.0,), 1.0), Playback(0.0))
    with pytest.raises(LinkError, match="mean"):
        LinkParameters(1.0, 0.0, varying=follow(some, Playback(0.0)))


def test_framing_is_counted_on_a_varying_link() -> None:
    """One full segment is one packet of 1500 bytes is one opportunity."""
    capacity = OpportunityCapacity(Opportunities((0, 5), 0.005), Playback(0.0))
    wire = capacity.wire()
    assert wire.send(wire_bytes(1448), 0.001) == pytest.approx(0.005)
    assert wire._rest_bytes == 0
