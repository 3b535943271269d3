"""The shaped transport holds back whoever is faster than the link: writers, sockets, readers."""

import asyncio

import pytest

from netem.link import wire_bytes
from tests.netem.shaper_rig import DELAY_S, LIMIT_BYTES, RATE, Rig


async def test_writers_are_paused_and_resumed() -> None:
    rig = Rig()
    rig.transport.write(bytes(LIMIT_BYTES))
    assert "pause" not in rig.app.calls
    rig.transport.write(b"x" * 4000)
    assert rig.app.calls == ["made", "pause"]
    assert rig.transport.get_write_buffer_size() == LIMIT_BYTES + 4000
    rig.run((LIMIT_BYTES / 2 - 10_000) / RATE)
    assert "resume" not in rig.app.calls
    rig.run(0.03)
    assert rig.app.calls == ["made", "pause", "resume"]
    assert rig.transport.get_write_buffer_size() <= LIMIT_BYTES / 2


async def test_a_sender_that_obeys_is_never_ahead_by_more_than_the_bound() -> None:
    rig = Rig()
    step, total = 16_384, 1_000_000
    written, start_s = 0, rig.timer.now()
    while written < total:
        if rig.app.calls[-1] == "pause":
            rig.run(0.001)
            continue
        rig.transport.write(bytes(step))
        written += step
        passed = (rig.timer.now() - start_s) * RATE  # at most, in wire bytes
        assert written <= passed + LIMIT_BYTES + step
    rig.run(1.0)
    took_s = rig.socket.writes[-1][0] - start_s
    assert took_s == pytest.approx(wire_bytes(written) / RATE + DELAY_S, rel=1e-3)
    assert len(rig.socket.written) == written


async def test_write_buffer_limits_follow_asyncio() -> None:
    rig = Rig()
    rig.transport.set_write_buffer_limits(high=1000, low=10)
    assert rig.transport.get_write_buffer_limits() == (10, 1000)
    rig.transport.write(bytes(1001))
    assert rig.app.calls[-1] == "pause"
    rig.transport.set_write_buffer_limits()
    assert rig.transport.get_write_buffer_limits() == (16384, 65536)
    assert rig.app.calls[-1] == "resume"
    with pytest.raises(ValueError, match="must be >="):
        rig.transport.set_write_buffer_limits(high=1, low=2)


async def test_the_socket_is_not_read_while_enough_waits_for_the_link() -> None:
    rig = Rig()
    rig.socket.side.data_received(bytes(LIMIT_BYTES + 1000))
    assert rig.socket.calls == ["pause"]
    rig.run(LIMIT_BYTES / 2 / RATE + 0.03)
    assert rig.socket.calls == ["pause", "resume"]


async def test_an_application_that_does_not_read_closes_its_window() -> None:
    rig = Rig()
    rig.transport.pause_reading()
    assert not rig.transport.is_reading()
    given_bytes = 0
    while rig.socket.calls.count("pause") == rig.socket.calls.count("resume"):
        rig.socket.side.data_received(bytes(10_000))
        given_bytes += 10_000
        rig.run(0.02)
        assert given_bytes <= 4 * LIMIT_BYTES, "the sender must be stopped"
    rig.run(5.0)
    assert rig.app.received == b""
    rig.transport.resume_reading()
    assert rig.app.received == b"", "asyncio never delivers from within resume_reading"
    await asyncio.sleep(0)
    rig.run(5.0)
    assert len(rig.app.received) == given_bytes
    assert rig.socket.calls[-1] == "resume"


async def test_pausing_while_receiving_stops_delivery_at_once() -> None:
    rig = Rig()
    rig.app.on_data = rig.transport.pause_reading
    for _ in range(3):
        rig.socket.side.data_received(bytes(20_000))
    rig.run(2.0)
    assert len(rig.app.chunks) == 1
    rig.app.on_data = lambda: None
    rig.transport.resume_reading()
    await asyncio.sleep(0)
    assert len(rig.app.received) == 60_000


async def test_a_socket_that_is_full_holds_the_sender_back() -> None:
    rig = Rig()
    rig.socket.side.pause_writing()
    rig.transport.write(bytes(400_000))
    rig.run(5.0)
    assert rig.socket.written == b""
    assert rig.app.calls[-1] == "pause"
    rig.socket.side.resume_writing()
    start_s = rig.timer.now()
    rig.run(5.0)
    assert len(rig.socket.written) == 400_000
    expected_s = wire_bytes(400_000) / RATE + DELAY_S
    assert rig.socket.writes[-1][0] - start_s == pytest.approx(expected_s, rel=1e-3)
