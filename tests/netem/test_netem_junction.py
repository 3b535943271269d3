"""Links shared between devices: nobody overlaps, nothing idles, flows are served alike."""

import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from netem.channel import Parcel, Piece, Signal
from netem.device import DeviceLinks, LinkPair
from netem.junction import Committed, Crossing, Junction, SharedLinks
from netem.link import FRAME_BYTES, Link, LinkParameters, Transit, wire_bytes
from netem.shared import SharedWire, SharedWireError
from netem.tcp.parameters import TcpParameters
from netem.timer import ManualTimer
from tests.netem.test_netem_link import Sender, Sent

MBIT = 1e6 / 8


class Scene:
    """Devices on wires of a junction: `routes` by device, rates in Mbit/s."""

    def __init__(
        self, shared: Sequence[float], own: Sequence[float], routes: Sequence[Sequence[int]]
    ) -> None:
        self.junction: Junction[Sent] = Junction()
        self.wires = [SharedWire(rate * MBIT) for rate in shared]
        self.links = []
        for rate, route in zip(own, routes, strict=True):
            parameters = LinkParameters(rate * MBIT, 0.01)
            link: Link[Sent] = Link(parameters, 0.0, [self.wires[i] for i in route])
            self.junction.add(link)
            self.links.append(link)

    def offer(self, device: int, payload: int, now_s: float) -> list[Committed[Sent]]:
        sender = Sender(self.links[device])
        before = self.junction.advance(now_s)
        sender.since_s, sender.waiting = now_s, payload
        sender.link.join(sender)
        self.junction.changed(sender.link)
        return before


def jain(values: Sequence[float]) -> float:
    return sum(values) ** 2 / (len(values) * sum(v * v for v in values))


rates = st.sampled_from([0.5, 2.0, 10.0, 33.0, 100.0, 1000.0])
offers = st.lists(
    st.tuples(st.floats(0, 0.2), st.integers(0, 3), st.integers(1, 100_000)), max_size=20
)


def play(
    scene: Scene, plan: list[tuple[float, int, int]], polls: Sequence[float]
) -> list[tuple[int, Transit[Sent]]]:
    events = [(at_s, -1, 0) for at_s in polls]
    now_s = 0.0
    for gap_s, device, payload in plan:
        now_s += gap_s
        events.append((now_s, device, payload))
    got: list[Committed[Sent]] = []
    for at_s, device, payload in sorted(events, key=lambda event: event[0]):
        got += scene.offer(device, payload, at_s) if device >= 0 else scene.junction.advance(at_s)
    got += scene.junction.advance(1e9)
    return [(scene.links.index(c.member), c.transit) for c in got]


@given(st.lists(rates, min_size=2, max_size=2), st.lists(rates, min_size=4, max_size=4), offers)
@settings(max_examples=150)
def test_laws_of_the_junction(
    shared: list[float], own: list[float], plan: list[tuple[float, int, int]]
) -> None:
    """Device 0 shares nothing, 1 and 2 share wire 0, 2 and 3 share wire 1."""
    routes = [(), (0,), (0, 1), (1,)]
    scene = Scene(shared, own, routes)
    got = play(scene, plan, [])
    by_device: dict[int, int] = {}
    for wire, rate in enumerate(shared):
        over = [t for device, t in got if wire in routes[device]]
        for a, b in pairwise(over):
            passed_s = a.start_s + a.load.wire_bytes / (rate * MBIT)
            assert passed_s <= b.start_s + 1e-9, "never two at once on a shared wire"
    for device, transit in got:
        by_device[device] = by_device.get(device, 0) + transit.load.payload_bytes
        slowest = min([own[device], *(shared[i] for i in routes[device])]) * MBIT
        assert transit.sent_s - transit.start_s == pytest.approx(
            transit.load.wire_bytes / slowest, rel=1e-6, abs=1e-9
        )
    for device in range(4):
        assert by_device.get(device, 0) == sum(n for _, d, n in plan if d == device)
        mine = [t for d, t in got if d == device]
        assert all(a.sent_s <= b.start_s and a.due_s <= b.due_s for a, b in pairwise(mine))


@given(offers, st.lists(st.floats(0, 5), max_size=15))
@settings(max_examples=60)
def test_late_polls_change_nothing(plan: list[tuple[float, int, int]], polls: list[float]) -> None:
    def figures(polls: Sequence[float]) -> list[tuple[int, float, float]]:
        scene = Scene([10.0], [5.0, 20.0, 20.0, 1.0], [(0,)] * 4)
        return [(d, t.start_s, t.due_s) for d, t in play(scene, plan, polls)]

    assert figures(polls) == figures([])


@given(st.lists(st.sampled_from([1.34, 3.0, 20.0, 200.0]), min_size=2, max_size=20), rates)
@settings(max_examples=15, phases=[Phase.explicit, Phase.generate])
def test_devices_that_a_shared_link_limits_get_alike_and_all_of_it(
    faster: list[float], shared: float
) -> None:
    """However their own rates differ, as long as each exceeds its part by a third. Of the sum a
    little is lost where few devices share, when the own wires of all are busy at once."""
    count = len(faster)
    own = [shared / count * factor for factor in faster]
    scene = Scene([shared], own, [(0,)] * count)
    largest = max(max(float(FRAME_BYTES), min(r, shared) * MBIT * 0.005) for r in own)
    horizon_s = 60 * count * largest / (shared * MBIT)
    for device in range(count):
        scene.offer(device, int(shared * MBIT * horizon_s) + 1, 0.0)
    passed = [0.0] * count
    for member, transit in scene.junction.advance(horizon_s):
        passed[scene.links.index(member)] += transit.load.wire_bytes
    assert jain(passed) >= 0.99
    assert scene.wires[0].free_s >= horizon_s
    carried_bytes = shared * MBIT * scene.wires[0].free_s
    assert scene.wires[0].passed_bytes >= (0.95 if count < 6 else 0.99) * carried_bytes
    assert scene.wires[0].passed_bytes <= carried_bytes * (1 + 1e-9)


def test_a_device_with_more_flows_gets_more_and_every_flow_the_same() -> None:
    scene = Scene([20.0], [50.0, 50.0], [(0,), (0,)])
    senders = [scene.links[0]] * 1 + [scene.links[1]] * 3
    for link in senders:
        scene.offer(scene.links.index(link), 10_000_000, 0.0)
    got = scene.junction.advance(5.0)
    flows: dict[int, float] = {}
    for _, transit in got:
        key = id(transit.load.content)
        flows[key] = flows.get(key, 0.0) + transit.load.wire_bytes
    assert len(flows) == 4
    assert jain(list(flows.values())) >= 0.999


def test_who_is_slower_by_itself_leaves_the_rest_to_the_others() -> None:
    """1 + 4.5 + 4.5 Mbit/s of 10."""
    scene = Scene([10.0], [1.0, 20.0, 20.0], [(0,)] * 3)
    for device in range(3):
        scene.offer(device, 10_000_000, 0.0)
    passed = [0.0] * 3
    for member, transit in scene.junction.advance(10.0):
        passed[scene.links.index(member)] += transit.load.wire_bytes / MBIT / 10
    assert passed == pytest.approx([1.0, 4.5, 4.5], rel=0.02)


def test_a_household_behind_the_coordinator_s_access() -> None:
    """Devices 0 and 1 share 10 Mbit/s; they and 2 and 3 share 40. The household gets its 10, the
    others 15 each, but for what the household's wire loses waiting for the other."""
    scene = Scene([10.0, 40.0], [30.0] * 4, [(0, 1), (0, 1), (1,), (1,)])
    for device in range(4):
        scene.offer(device, 20_000_000, 0.0)
    passed = [0.0] * 4
    for member, transit in scene.junction.advance(4.0):
        passed[scene.links.index(member)] += transit.load.wire_bytes / MBIT / 4
    assert passed == pytest.approx([5.0, 5.0, 15.0, 15.0], rel=0.09)


@pytest.mark.parametrize("rate", [0.0, -1.0, math.inf, math.nan])
def test_impossible_shared_rates_are_refused(rate: float) -> None:
    with pytest.raises(SharedWireError, match="bytes_per_s"):
        SharedWire(rate)


class Far:
    def __init__(self, timer: ManualTimer) -> None:
        self.timer, self.came_s, self.bytes = timer, 0.0, 0

    def arrived(self, items: list[Piece | Signal]) -> None:
        self.came_s = self.timer.now()
        self.bytes += sum(len(item) for item in items if not callable(item))

    def sent(self) -> None:
        pass


@pytest.mark.parametrize("late_s", [0.0, 0.002])
@pytest.mark.parametrize("tcp", [None, TcpParameters("cubic", 500_000)])
def test_devices_of_one_loop_share_a_wire(late_s: float, tcp: TcpParameters | None) -> None:
    """Twenty devices of 10 Mbit/s send 250 kB each over 40 Mbit/s: all done after the sum's time,
    each having had its part, and being late costs latency only."""
    timer = ManualTimer()
    shared: SharedLinks[Parcel] = SharedLinks(timer)
    wire = SharedWire(40 * MBIT)
    one = LinkParameters(10 * MBIT, 0.02, tcp=tcp)
    far = []
    for _ in range(20):
        crossing = Crossing(shared, (wire,))
        links = DeviceLinks(LinkPair(one, one), timer, shared=(crossing, None))
        far.append(Far(timer))
        links.up.channel(far[-1]).send(bytes(250_000))
    timer.advance(4.0, late_s)
    assert [f.bytes for f in far] == [250_000] * 20
    expected_s = 20 * wire_bytes(250_000) / (40 * MBIT) + 0.02
    assert max(f.came_s for f in far) == pytest.approx(
        expected_s + late_s, abs=0.005 if tcp is None else 0.2
    )
    assert min(f.came_s for f in far) > 0.8 * expected_s
    assert wire.passed_bytes >= 20 * wire_bytes(250_000)
