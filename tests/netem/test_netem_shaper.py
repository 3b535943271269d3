"""The shaped transport, with time under control: what arrives when, and what is counted."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netem.link import wire_bytes
from tests.netem.shaper_rig import DELAY_S, RATE, Rig, content


async def test_bytes_arrive_after_their_time_on_the_wire_and_the_delay() -> None:
    rig = Rig()
    rig.transport.write(content(1000))
    due_s = wire_bytes(1000) / RATE + DELAY_S
    rig.run(due_s - 1e-6)
    assert rig.socket.written == b""
    rig.run(2e-6)
    assert rig.socket.written == content(1000)
    assert rig.links.bytes_passed() == (1066, 0)
    assert rig.links.up.passed.payload == 1000


async def test_downwards_the_same() -> None:
    rig = Rig()
    rig.socket.side.data_received(content(1000))
    rig.run(DELAY_S)
    assert rig.app.received == b""
    rig.run(wire_bytes(1000) / RATE + 1e-6)
    assert rig.app.received == content(1000)
    assert rig.links.bytes_passed() == (0, 1066)


@given(
    st.lists(st.tuples(st.integers(1, 30_000), st.floats(0, 0.05)), min_size=1, max_size=15),
    st.floats(0, 0.02),
)
@settings(max_examples=60)
async def test_content_order_and_rate_whatever_the_lateness(
    writes: list[tuple[int, float]], late_s: float
) -> None:
    rig = Rig()
    start_s = rig.timer.now()
    sent = bytearray()
    for size, gap_s in writes:
        data = content(size)
        rig.transport.write(memoryview(data) if size % 2 else bytearray(data))
        rig.socket.side.data_received(data)
        sent += data
        rig.run(gap_s, late_s)
    rig.run(10.0, late_s)
    assert rig.socket.written == sent
    assert rig.app.received == sent
    for arrivals in (rig.socket.writes, rig.app.chunks):
        count = 0
        for at_s, size in arrivals:
            count += size
            assert wire_bytes(count) / RATE + DELAY_S <= at_s - start_s + 1e-6


async def test_a_late_wake_up_costs_latency_but_no_throughput() -> None:
    finished = []
    for late_s in (0.0, 0.01):
        rig = Rig()
        start_s = rig.timer.now()
        rig.transport.write(content(500_000))
        rig.run(5.0, late_s)
        finished.append(rig.socket.writes[-1][0] - start_s)
    assert finished[0] == pytest.approx(wire_bytes(500_000) / RATE + DELAY_S, abs=1e-6)
    assert finished[1] <= finished[0] + 0.01 + 1e-6


async def test_all_connections_of_a_device_share_its_link() -> None:
    rig = Rig()
    apps = [rig.connect() for _ in range(19)]
    apps.append((rig.app, rig.socket))
    for _, sock in apps:
        sock.side.data_received(bytes(60_000))
    rig.run(0.05 + 20 * 0.005 * 4)
    got = [len(app.received) for app, _ in apps]
    assert sum(got) ** 2 / (20 * sum(g * g for g in got)) >= 0.99
    rig.run(5.0)
    assert all(len(app.received) == 60_000 for app, _ in apps)
    finished_s = max(app.chunks[-1][0] for app, _ in apps) - 100.0
    assert finished_s == pytest.approx(20 * wire_bytes(60_000) / RATE + DELAY_S, rel=0.01)


async def test_a_round_trip_costs_both_delays_and_two_frames() -> None:
    rig = Rig()
    task = asyncio.create_task(rig.links.round_trip())
    await asyncio.sleep(0)
    rig.run(2 * DELAY_S + 2 * 66 / RATE - 1e-6)
    await asyncio.sleep(0)
    assert not task.done()
    rig.run(2e-6)
    await task
    assert rig.links.bytes_passed() == (66, 66)


async def test_a_cancelled_round_trip_leaves_nothing() -> None:
    rig = Rig()
    task = asyncio.create_task(rig.links.round_trip())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    rig.run(1.0)
    assert rig.links.bytes_passed() == (66, 0), "what is on the wire stays there"


async def test_lateness_of_every_release_is_recorded() -> None:
    rig = Rig()
    rig.transport.write(bytes(100_000))
    rig.run(5.0, late_s=0.004)
    measured = rig.links.meter.measured()
    assert measured.lateness_ms_max == pytest.approx(4.0, rel=1e-6)
    assert measured.lateness_ms_p50 == pytest.approx(4.0, rel=0.06)
