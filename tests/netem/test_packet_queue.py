"""A link as a queue of packets: arithmetic against its laws."""

import itertools
import json
import math
from collections.abc import Sequence
from random import Random
from statistics import fmean, stdev
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netem.jitter import Jitter
from netem.link import LinkParameters
from netem.packet.link import PacketLink, PacketLinkError
from netem.packet.queue import ETHERNET_BYTES, Held, PacketQueue
from netem.playback import AtEnd, Playback
from netem.replay import DelayTrace, OpportunityCapacity, SteppedCapacity
from netem.tcp.parameters import TcpParameters
from profiles.trace import Opportunities, Steps

RATE = 1e6
SIZES = st.integers(20, 1500)
GAPS = st.floats(0, 0.02)
OFFERS = st.lists(st.tuples(GAPS, SIZES), min_size=1, max_size=80)


def arrived(queue: PacketQueue, until_s: float = math.inf) -> list[Held]:
    """Everything, in the order in which it comes out."""
    found = []
    while (held := queue.take(until_s)) is not None:
        found.append(held)
    return found


def offered(queue: PacketQueue, offers: Sequence[tuple[float, int]]) -> list[tuple[float, int]]:
    """(instant, wire bytes) of each packet that was taken."""
    now_s, taken = 0.0, []
    for gap_s, size in offers:
        now_s += gap_s
        if queue.offer(bytes(size), now_s):
            taken.append((now_s, size + ETHERNET_BYTES))
    return taken


@given(OFFERS)
def test_packets_follow_one_another_at_the_rate_and_arrive_after_the_delay(
    offers: Sequence[tuple[float, int]],
) -> None:
    queue = PacketQueue(PacketLink(RATE, 0.025, queue_bytes=10**9))
    taken = offered(queue, offers)
    assert len(taken) == len(offers)
    free_s = -math.inf
    for (now_s, wire_bytes), held in zip(taken, arrived(queue), strict=True):
        assert held.wire_bytes == wire_bytes == len(held.packet) + ETHERNET_BYTES
        assert held.continues == (free_s >= now_s)
        free_s = max(now_s, free_s) + wire_bytes / RATE
        assert held.due_s == pytest.approx(free_s + 0.025)


@given(OFFERS, st.integers(1514, 20_000))
def test_what_waits_never_exceeds_the_limit(
    offers: Sequence[tuple[float, int]], limit: int
) -> None:
    queue = PacketQueue(PacketLink(RATE, 0.0, queue_bytes=limit))
    taken = offered(queue, offers)
    assert queue.dropped == len(offers) - len(taken)
    free_s = -math.inf
    for now_s, wire_bytes in taken:
        free_s = max(now_s, free_s) + wire_bytes / RATE
        assert (free_s - now_s) * RATE <= limit + 1e-6


@given(OFFERS, st.floats(0, 2))
def test_looking_late_changes_nothing(offers: Sequence[tuple[float, int]], looked_s: float) -> None:
    once = PacketQueue(PacketLink(RATE, 0.01))
    twice = PacketQueue(PacketLink(RATE, 0.01))
    offered(once, offers)
    offered(twice, offers)
    early = arrived(twice, looked_s)
    assert all(held.due_s <= looked_s for held in early)
    assert early + arrived(twice) == arrived(once)


def test_a_full_queue_takes_again_what_the_wire_has_freed() -> None:
    queue = PacketQueue(PacketLink(RATE, 0.0, queue_bytes=2 * 1014))
    assert [queue.offer(bytes(1000), 0.0) for _ in range(3)] == [True, True, False]
    assert not queue.offer(bytes(1000), 0.0010)
    assert queue.offer(bytes(1000), 0.00102)
    assert queue.next_s() == pytest.approx(0.001014)


def test_losses_take_time_on_the_wire_and_come_as_often_as_asked() -> None:
    queue = PacketQueue(PacketLink(RATE, 0.0, queue_bytes=10**9, loss=0.03), Random(1))
    for _ in range(20_000):
        queue.offer(bytes(986), 0.0)
    held = arrived(queue)
    assert queue.lost == 20_000 - len(held)
    assert queue.lost / 20_000 == pytest.approx(0.03, abs=0.004)
    assert held[-1].due_s == pytest.approx(20.0, abs=0.1)


def test_jitter_keeps_order_mean_and_spread() -> None:
    link = PacketLink(RATE, 0.050, queue_bytes=10**9, variation=Jitter(0.005, 0.1, seed=(2,)))
    queue = PacketQueue(link, Random(2))
    sent_s = []
    for number in range(40_000):
        queue.offer(bytes(86), number * 0.001)
        sent_s.append(number * 0.001 + 0.0001)
    due_s = [held.due_s for held in arrived(queue)]
    delays = [due - sent for due, sent in zip(due_s, sent_s, strict=True)]
    assert due_s == sorted(due_s)
    assert fmean(delays) == pytest.approx(0.050, abs=0.0015)
    assert stdev(delays) == pytest.approx(0.005, rel=0.15)


def test_reordering_lets_what_follows_overtake() -> None:
    link = PacketLink(RATE, 0.010, queue_bytes=10**9, reorder=0.1, reorder_s=0.005)
    queue = PacketQueue(link, Random(3))
    for number in range(2000):
        queue.offer(number.to_bytes(4, "big") + bytes(982), 0.0)
    held = arrived(queue)
    assert [h.due_s for h in held] == sorted(h.due_s for h in held)
    order = [int.from_bytes(h.packet[:4], "big") for h in held]
    assert sorted(order) == list(range(2000))
    late = sum(after < before for before, after in itertools.pairwise(order))
    assert 120 < late < 250


ILLEGAL: list[tuple[dict[str, Any], str]] = [
    ({"bytes_per_s": 0.0}, "bytes_per_s: must be positive"),
    ({"bytes_per_s": math.inf}, "bytes_per_s: must be finite"),
    ({"bytes_per_s": -1.0}, "bytes_per_s: must be finite and not negative"),
    ({"delay_s": -0.1}, "delay_s: must be finite and not negative"),
    ({"delay_s": math.nan}, "delay_s: must be finite and not negative"),
    ({"queue_bytes": 1000}, "queue_bytes: must hold a frame of 1514, not 1000"),
    ({"loss": 1.0}, "loss: must be below 1"),
    ({"loss": -0.1}, "loss: must be finite and not negative"),
    ({"reorder": 1.0}, "reorder: must be below 1"),
]


@pytest.mark.parametrize(("changed", "rule"), ILLEGAL)
def test_a_link_that_cannot_exist_is_refused(changed: dict[str, Any], rule: str) -> None:
    with pytest.raises(PacketLinkError, match=rule):
        PacketLink(**({"bytes_per_s": RATE, "delay_s": 0.01} | changed))


STEPS = Steps((0.0, 1.0), (RATE, RATE / 2), 2.0)
OPPORTUNITIES = Opportunities((1, 1, 5, 20), 0.020)
LOOP = Playback(100.0, offset_s=0.5, stretch=2.0)
LINKS = [
    LinkParameters(RATE, 0.01),
    LinkParameters(RATE, 0.01, tcp=TcpParameters("reno", 3000, loss=0.1)),
    LinkParameters(RATE, 0.05, variation=Jitter(0.005, 0.1, "gamma", (1, 2))),
    LinkParameters.following(SteppedCapacity(STEPS, LOOP), 0.01),
    LinkParameters(RATE, 0.06, variation=DelayTrace(Steps((0.0, 1.0), (0.02, 0.04), 2.0), LOOP)),
    LinkParameters.following(OpportunityCapacity(OPPORTUNITIES, LOOP, scale=2.0), 0.01),
]


@pytest.mark.parametrize("parameters", LINKS)
def test_a_link_is_the_same_in_packets_and_over_the_line(parameters: LinkParameters) -> None:
    link = PacketLink.of(parameters)
    assert PacketLink.from_mapping(json.loads(json.dumps(link.to_mapping()))) == link
    assert (link.bytes_per_s, link.delay_s) == (parameters.bytes_per_s, parameters.delay_s)
    assert (link.variation, link.varying) == (parameters.variation, parameters.varying)
    if parameters.tcp is not None:
        assert (link.queue_bytes, link.loss) == (3000, 0.1)


def test_packets_leave_at_the_slots_of_a_trace() -> None:
    """A frame that is no full one still takes a whole opportunity, unless another shares it."""
    playback = Playback(0.0)
    capacity = OpportunityCapacity(OPPORTUNITIES, playback)
    queue = PacketQueue(PacketLink(1e6, 0.0, queue_bytes=10**6, varying=capacity))
    for _ in range(5):
        queue.offer(bytes(1500), 0.0)
    assert [held.due_s for held in arrived(queue)] == pytest.approx(
        [0.001, 0.001, 0.005, 0.020, 0.021]
    )


def test_a_trace_goes_by_the_time_since_the_link_began() -> None:
    """However large the clock's own figures are."""
    queues = []
    for begin_s in (0.0, 1e6):
        capacity = OpportunityCapacity(OPPORTUNITIES, Playback(0.0))
        wander = DelayTrace(Steps((0.0, 0.01), (0.02, 0.04), 0.03), Playback(0.0))
        link = PacketLink(1e6, wander.mean_s, 10**6, variation=wander, varying=capacity)
        queue = PacketQueue(link, begin_s=begin_s)
        for size in (700, 700, 1500, 1500, 1500):
            queue.offer(bytes(size), begin_s)
        queues.append([held.due_s - begin_s for held in arrived(queue)])
    assert queues[0] == pytest.approx([0.021, 0.021, 0.021, 0.025, 0.060])
    assert queues[1] == pytest.approx(queues[0], abs=1e-6)


def test_what_cannot_be_told_over_the_line_is_refused() -> None:
    class Wandering(DelayTrace):
        """Nobody knows it by this name."""

    wander = Wandering(Steps.constant(0.01, 1.0), LOOP)
    with pytest.raises(PacketLinkError, match="Wandering: cannot be played in packets"):
        PacketLink.of(LinkParameters(RATE, 0.02, variation=wander))


@given(OFFERS, st.floats(0, 1))
def test_what_a_trace_lets_pass_is_its_integral(
    offers: Sequence[tuple[float, int]], offset_s: float
) -> None:
    capacity = SteppedCapacity(STEPS, Playback(0.0, offset_s))
    queue = PacketQueue(PacketLink(RATE, 0.0, queue_bytes=10**9, varying=capacity))
    taken = offered(queue, offers)
    free_s = -math.inf
    for (now_s, wire_bytes), held in zip(taken, arrived(queue), strict=True):
        start_s = max(now_s, free_s)
        free_s = held.due_s
        assert capacity.carried_bytes(start_s, free_s) == pytest.approx(wire_bytes, abs=0.01)


def test_after_the_end_of_a_trace_nothing_goes() -> None:
    capacity = SteppedCapacity(STEPS, Playback(0.0, at_end=AtEnd.STOP))
    queue = PacketQueue(PacketLink(RATE, 0.0, queue_bytes=10**6, varying=capacity))
    assert queue.offer(bytes(1500), 1.9)
    assert not queue.offer(bytes(1500), 2.5)
    assert queue.dropped == 1


def test_queues_are_as_long_as_access_links_have_them() -> None:
    assert PacketLink(RATE, 0.2).limit_bytes == 400_000
    assert PacketLink(RATE, 0.01).limit_bytes == 100_000
    assert PacketLink(1e4, 0.01).limit_bytes == 30 * 1514
