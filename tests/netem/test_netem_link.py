"""The laws of the link's arithmetic."""

import math
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netem.link import (
    FRAME_BYTES,
    FRAMING_BYTES,
    SEGMENT_BYTES,
    Link,
    LinkError,
    LinkParameters,
    Transit,
    payload_within,
    wire_bytes,
)


@dataclass(frozen=True)
class Sent:
    """A load that knows its sender."""

    content: "Sender"
    payload_bytes: int
    wire_bytes: int


@dataclass(eq=False)
class Sender:
    """Sends what it was given as soon as it may."""

    link: Link[Sent]
    waiting: int = 0
    since_s: float = 0.0

    def offer(self, payload_bytes: int, now_s: float) -> list[Transit[Sent]]:
        before = self.link.advance(now_s)
        if not self.waiting:
            self.since_s = now_s
        self.waiting += payload_bytes
        self.link.join(self)
        return before

    def next_eligible(self, after_s: float) -> float:
        return max(after_s, self.since_s) if self.waiting else math.inf

    def take(self, allowance_bytes: float, start_s: float) -> Sent:
        payload = min(self.waiting, payload_within(allowance_bytes))
        self.waiting -= payload
        return Sent(self, payload, wire_bytes(payload))

    def committed(self, transit: Transit[Sent]) -> None:
        """A sender without acknowledgements."""


rates = st.floats(1e4, 1e9)
delays = st.sampled_from([0.0, 0.0025, 0.1])
Offer = tuple[float, int, int]
offers = st.lists(
    st.tuples(st.floats(0, 0.3), st.integers(0, 3), st.integers(1, 200_000)), max_size=30
)


def play(parameters: LinkParameters, plan: list[Offer], polls: list[float]) -> list[Transit[Sent]]:
    """Offer by the plan (gap, flow, bytes), polling at extra times as well; then run dry."""
    link: Link[Sent] = Link(parameters)
    senders = [Sender(link) for _ in range(4)]
    events: list[tuple[float, int, int]] = [(time_s, -1, 0) for time_s in polls]
    now_s = 0.0
    for gap_s, flow, payload in plan:
        now_s += gap_s
        events.append((now_s, flow, payload))
    transits = []
    for at_s, flow, payload in sorted(events, key=lambda event: event[0]):
        transits += senders[flow].offer(payload, at_s) if flow >= 0 else link.advance(at_s)
    return transits + link.advance(1e12)


@pytest.mark.parametrize(
    ("payload", "wire"),
    [(0, 66), (1, 67), (1448, 1514), (1449, 1449 + 132), (14480, 15140), (1_000_000, 1_045_606)],
)
def test_framing_is_66_bytes_a_segment(payload: int, wire: int) -> None:
    assert wire_bytes(payload) == wire


@given(st.floats(FRAME_BYTES, 1e7))
def test_an_allowance_is_filled_with_whole_frames(allowance: float) -> None:
    payload = payload_within(allowance)
    assert wire_bytes(payload) <= allowance < wire_bytes(payload) + FRAME_BYTES


@pytest.mark.parametrize("rate", [0.0, -1.0, math.inf, math.nan])
def test_impossible_rates_are_refused(rate: float) -> None:
    with pytest.raises(LinkError, match="bytes_per_s"):
        LinkParameters(rate, 0.01)


@pytest.mark.parametrize("delay", [-0.1, math.inf, math.nan])
def test_impossible_delays_are_refused(delay: float) -> None:
    with pytest.raises(LinkError, match="delay_s"):
        LinkParameters(1e6, delay)


@pytest.mark.parametrize("quantum", [0.0, -1.0, math.inf, math.nan])
def test_impossible_quanta_are_refused(quantum: float) -> None:
    with pytest.raises(LinkError, match="quantum_s"):
        LinkParameters(1e6, 0.01, quantum)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.inf, math.nan])
def test_impossible_time_scales_are_refused(scale: float) -> None:
    with pytest.raises(LinkError, match="time_scale"):
        LinkParameters(1e6, 0.01).scaled(scale)


@given(st.floats(0.1, 10), offers)
@settings(max_examples=50)
def test_time_scale_stretches_every_transit(scale: float, plan: list[Offer]) -> None:
    plan = [(0.0, flow, payload) for _, flow, payload in plan]
    # A quantum of one frame, so that both cut alike.
    parameters = LinkParameters(1e6, 0.05, 1e-9)
    for plain, scaled in zip(
        play(parameters, plan, []), play(parameters.scaled(scale), plan, []), strict=True
    ):
        assert scaled.due_s == pytest.approx(plain.due_s * scale)
        assert scaled.load.payload_bytes == plain.load.payload_bytes


@given(rates, delays, offers, st.lists(st.floats(0, 10), max_size=10))
@settings(max_examples=150)
def test_laws_of_the_link(rate: float, delay: float, plan: list[Offer], polls: list[float]) -> None:
    parameters = LinkParameters(rate, delay)
    transits = play(parameters, plan, polls)
    for flow in {id(t.load.content) for t in transits}:
        mine = [t for t in transits if id(t.load.content) == flow]
        assert all(a.due_s <= b.due_s for a, b in pairwise(mine)), "in order within a flow"
    # Conservation: what went in comes out.
    assert sum(t.load.payload_bytes for t in transits) == sum(n for _, _, n in plan)
    for t in transits:
        assert t.load.wire_bytes == wire_bytes(t.load.payload_bytes)
        assert t.sent_s - t.start_s == pytest.approx(t.load.wire_bytes / rate, rel=1e-6, abs=1e-9)
        assert t.due_s >= t.sent_s + delay - 1e-12
        assert t.load.wire_bytes <= max(FRAME_BYTES, rate * parameters.quantum_s) + FRAME_BYTES
    for a, b in pairwise(transits):
        assert a.sent_s <= b.start_s, "never two at once: never faster than the rate"
        assert b.continues == (a.sent_s == b.start_s)


@given(rates, offers)
@settings(max_examples=100)
def test_it_is_idle_only_when_nothing_waits(rate: float, plan: list[Offer]) -> None:
    transits = play(LinkParameters(rate, 0.01), plan, [])
    arrivals, now_s = [], 0.0
    for gap_s, _, payload in plan:
        now_s += gap_s
        arrivals.append((now_s, payload))
    for index, t in enumerate(transits):
        if not t.continues:  # it had been idle: everything offered before had been sent
            offered = sum(n for at_s, n in arrivals if at_s < t.start_s)
            assert offered == sum(x.load.payload_bytes for x in transits[:index])
            assert t.start_s in [at_s for at_s, _ in arrivals]


@given(rates, offers, st.lists(st.floats(0, 10), max_size=20))
@settings(max_examples=100)
def test_late_polls_change_nothing(rate: float, plan: list[Offer], polls: list[float]) -> None:
    parameters = LinkParameters(rate, 0.02)

    def figures(transits: list[Transit[Sent]]) -> list[tuple[float, float, float, int]]:
        return [(t.start_s, t.sent_s, t.due_s, t.load.payload_bytes) for t in transits]

    assert figures(play(parameters, plan, polls)) == figures(play(parameters, plan, []))


@given(st.integers(2, 20), rates)
@settings(max_examples=40)
def test_busy_flows_share_fairly(count: int, rate: float) -> None:
    """Jain's index over 20 flows stays above 0.99 after some 100 turns each."""
    link: Link[Sent] = Link(LinkParameters(rate, 0.01))
    horizon_s = 100 * count * max(0.005, FRAME_BYTES / rate)
    for _ in range(count):
        Sender(link).offer(int(rate * horizon_s) + 1, 0.0)
    shares: dict[int, int] = {}
    for t in link.advance(horizon_s):
        key = id(t.load.content)
        shares[key] = shares.get(key, 0) + t.load.wire_bytes
    values = list(shares.values())
    assert len(values) == count
    assert sum(values) ** 2 / (count * sum(v * v for v in values)) >= 0.99


def test_flows_of_small_and_large_writes_share_fairly() -> None:
    """A flow is not cheated for writing little at a time, as long as it keeps the queue filled."""
    link: Link[Sent] = Link(LinkParameters(1e6, 0.0))
    bulk, chatty = Sender(link), Sender(link)
    bulk.offer(10_000_000, 0.0)
    transits = []
    for step in range(5000):
        transits += chatty.offer(SEGMENT_BYTES, step * 0.001)
    mine = sum(t.load.wire_bytes for t in transits if t.load.content is chatty)
    assert mine / sum(t.load.wire_bytes for t in transits) == pytest.approx(0.5, abs=0.01)


def test_a_later_competitor_counts() -> None:
    """Nothing is committed beyond the quantum on the wire."""
    link: Link[Sent] = Link(LinkParameters(1e6, 0.0))
    first, second = Sender(link), Sender(link)
    first.offer(1_000_000, 0.0)
    before = link.advance(0.1)
    second.offer(1000, 0.1)
    arrival = next(t for t in link.advance(1.0) if t.load.content is second)
    assert before[-1].sent_s <= 0.1 + 0.005 + 1e-9
    assert arrival.start_s - 0.1 <= 0.01 + 1e-9


def test_a_flow_that_leaves_is_not_served() -> None:
    link: Link[Sent] = Link(LinkParameters(1e6, 0.0))
    flow = Sender(link)
    flow.offer(100_000, 0.0)
    committed = link.advance(0.02)
    link.leave(flow)
    assert committed
    assert link.advance(10.0) == []
    assert link.next_start() == math.inf


class Windowed(Sender):
    """A sender of a window of one segment a round trip: a model in the flow's place."""

    def take(self, allowance_bytes: float, start_s: float) -> Sent:
        load = super().take(FRAME_BYTES, start_s)
        self.since_s = start_s + 0.1
        return load


def test_a_sender_model_decides_when_it_is_eligible() -> None:
    link: Link[Sent] = Link(LinkParameters(1e6, 0.05))
    windowed = Windowed(link)
    windowed.offer(5 * SEGMENT_BYTES, 0.0)
    bulk = Sender(link)
    transits = bulk.offer(300_000, 0.0) + link.advance(10.0)
    starts = [t.start_s for t in transits if t.load.content is windowed]
    assert len(starts) == 5
    assert all(0.1 - 1e-9 <= b - a <= 0.1 + 0.0065 for a, b in pairwise(starts))
    assert max(t.sent_s for t in transits if t.load.content is bulk) < 0.34


def test_a_bare_frame_has_the_framing_only() -> None:
    assert wire_bytes(0) == FRAMING_BYTES
