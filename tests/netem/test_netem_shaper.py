"""The shaped transport, with time under control: no wall clock, no real socket."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netem.device import DeviceLinks, LinkPair
from netem.link import LinkParameters, wire_bytes
from netem.pipe import QUEUE_S
from netem.shaper import ShapedTransport, SocketSide
from netem.timer import ManualTimer

RATE = 1e6
LIMIT_BYTES = int(RATE * QUEUE_S)
DELAY_S = 0.05


class Application(asyncio.Protocol):
    """Keeps what it is told, with the time."""

    def __init__(self, timer: ManualTimer) -> None:
        self._timer = timer
        self.received = bytearray()
        self.chunks: list[tuple[float, int]] = []
        self.calls: list[str] = []
        self.error: Exception | None = None
        self.keep_open = False
        self.on_data: Callable[[], None] = lambda: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.calls.append("made")

    def data_received(self, data: bytes) -> None:
        assert isinstance(data, bytes)
        self.received += data
        self.chunks.append((self._timer.now(), len(data)))
        self.on_data()

    def eof_received(self) -> bool:
        self.calls.append("eof")
        return self.keep_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append("lost")
        self.error = exc

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")


class Socket(asyncio.Transport):
    """The double of a real transport."""

    def __init__(self, timer: ManualTimer, extra: dict[str, Any] | None = None) -> None:
        super().__init__(extra)
        self._timer = timer
        self.side: SocketSide[Application]
        self.written = bytearray()
        self.writes: list[tuple[float, int]] = []
        self.calls: list[str] = []
        self.high: int | None = None

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert "close" not in self.calls
        assert "abort" not in self.calls
        self.written += data
        self.writes.append((self._timer.now(), len(data)))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.calls.append("eof")

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")

    def close(self) -> None:
        self.calls.append("close")
        self.side.connection_lost(None)

    def abort(self) -> None:
        self.calls.append("abort")
        self.side.connection_lost(None)


class Rig:
    """One shaped connection between an application and a socket, both doubles."""

    def __init__(self, rate: float = RATE, extra: dict[str, Any] | None = None) -> None:
        self.timer = ManualTimer(100.0)
        one = LinkParameters(rate, DELAY_S)
        self.links = DeviceLinks(LinkPair(one, one), self.timer)
        self.app, self.socket = self.connect(extra)

    def connect(self, extra: dict[str, Any] | None = None) -> tuple[Application, Socket]:
        app, sock = Application(self.timer), Socket(self.timer, extra)
        sock.side = SocketSide(app, self.links)
        sock.side.connection_made(sock)
        return app, sock

    @property
    def transport(self) -> ShapedTransport:
        return self.socket.side.transport

    def run(self, seconds: float, late_s: float = 0.0) -> None:
        self.timer.advance(self.timer.now() + seconds, late_s)


def content(size: int) -> bytes:
    return bytes(i * i % 251 for i in range(size))


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
@settings(deadline=None, max_examples=60)
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


async def test_what_is_in_flight_is_delivered_before_the_end() -> None:
    rig = Rig()
    rig.socket.side.data_received(content(50_000))
    assert rig.socket.side.eof_received() is True
    rig.run(wire_bytes(50_000) / RATE + DELAY_S + 1e-6)
    assert len(rig.app.received) == 50_000
    assert rig.app.calls == ["made"]
    rig.run(0.001)
    assert rig.app.calls == ["made", "eof"], "then the application's close is under way"
    rig.run(1.0)
    assert rig.app.calls == ["made", "eof", "lost"]
    assert rig.socket.calls[-1] == "close"


async def test_half_closed_connections_can_still_write() -> None:
    rig = Rig()
    rig.app.keep_open = True
    rig.socket.side.eof_received()
    rig.run(0.1)
    rig.transport.write(b"answer")
    rig.transport.write_eof()
    with pytest.raises(RuntimeError, match="write_eof"):
        rig.transport.write(b"more")
    rig.run(0.1)
    assert rig.socket.written == b"answer"
    assert rig.socket.calls == ["eof"]
    assert not rig.transport.is_closing()


async def test_under_tls_the_end_of_the_stream_closes_the_socket() -> None:
    rig = Rig(extra={"sslcontext": object()})
    rig.socket.side.data_received(b"last words")
    assert rig.socket.side.eof_received() is False
    rig.socket.side.connection_lost(None)
    rig.run(1.0)
    await asyncio.sleep(0)
    assert rig.app.received == b"last words"
    assert rig.app.calls == ["made", "eof", "lost"]


async def test_close_lets_what_was_written_cross() -> None:
    rig = Rig()
    rig.transport.write(content(50_000))
    rig.transport.close()
    assert rig.transport.is_closing()
    rig.transport.write(b"too late")
    rig.socket.side.data_received(b"not wanted any more")
    rig.run(1.0)
    assert rig.socket.written == content(50_000)
    assert rig.socket.calls[-1] == "close"
    assert rig.app.calls == ["made", "lost"]
    assert rig.app.received == b""
    assert rig.app.error is None


async def test_abort_drops_everything_at_once() -> None:
    rig = Rig()
    rig.transport.write(content(50_000))
    rig.socket.side.data_received(content(50_000))
    rig.run(0.06)
    before = len(rig.socket.written)
    rig.transport.abort()
    assert rig.socket.calls[-1] == "abort"
    assert rig.app.calls == ["made", "lost"]
    rig.run(5.0)
    assert len(rig.socket.written) == before
    rig.transport.abort()
    await asyncio.sleep(0)
    assert rig.app.calls == ["made", "lost"], "lost is told once"


async def test_a_reset_arrives_after_what_was_ahead_of_it() -> None:
    rig = Rig()
    rig.socket.side.data_received(content(10_000))
    rig.socket.side.connection_lost(ConnectionResetError("reset"))
    rig.transport.write(b"into the void")
    assert rig.app.calls == ["made"]
    rig.run(1.0)
    assert rig.app.received == content(10_000)
    assert rig.app.calls == ["made", "lost"]
    assert isinstance(rig.app.error, ConnectionResetError)
    assert rig.socket.written == b""


async def test_a_reset_reaches_an_application_that_does_not_read() -> None:
    rig = Rig()
    rig.transport.pause_reading()
    rig.socket.side.data_received(bytes(1000))
    rig.socket.side.connection_lost(ConnectionResetError("reset"))
    rig.run(1.0)
    assert rig.app.calls == ["made", "lost"]


async def test_a_clean_end_waits_for_an_application_that_does_not_read() -> None:
    rig = Rig()
    rig.transport.pause_reading()
    rig.socket.side.data_received(bytes(1000))
    rig.socket.side.connection_lost(None)
    rig.run(1.0)
    assert rig.app.calls == ["made"]
    rig.transport.resume_reading()
    await asyncio.sleep(0)
    assert len(rig.app.received) == 1000
    assert rig.app.calls == ["made", "lost"]


@pytest.mark.parametrize("end", [ShapedTransport.close, ShapedTransport.abort])
async def test_ending_a_connection_whose_socket_is_gone(
    end: Callable[[ShapedTransport], None],
) -> None:
    rig = Rig()
    rig.socket.side.connection_lost(None)
    end(rig.transport)
    assert rig.app.calls == ["made"]
    await asyncio.sleep(0)
    assert rig.app.calls == ["made", "lost"]
    assert rig.socket.calls == []


async def test_closing_the_links_aborts_what_is_left() -> None:
    rig = Rig()
    rig.transport.write(bytes(1000))
    rig.links.close()
    rig.run(1.0)
    assert rig.socket.calls == ["abort"]
    assert rig.app.calls == ["made", "lost"]
    assert not rig.links.connections


async def test_a_protocol_that_fails_loses_its_connection_and_is_reported() -> None:
    reports: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, report: reports.append(report))
    rig = Rig()
    other_app, other_socket = rig.connect()

    def fail() -> None:
        raise RuntimeError("a parser's bug")

    rig.app.on_data = fail
    rig.socket.side.data_received(b"x")
    other_socket.side.data_received(b"y")
    rig.run(1.0)
    assert [str(report["exception"]) for report in reports] == ["a parser's bug"]
    assert rig.socket.calls == ["abort"]
    assert rig.app.calls == ["made", "lost"]
    assert other_app.received == b"y", "other connections go on"


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


async def test_no_connection_is_set_up_over_closed_links() -> None:
    rig = Rig()
    under_way = asyncio.create_task(rig.links.round_trip())
    await asyncio.sleep(0)
    rig.links.close()
    with pytest.raises(ConnectionAbortedError, match="links are closed"):
        await under_way
    with pytest.raises(ConnectionAbortedError, match="links are closed"):
        await rig.links.round_trip()


async def test_misuse_is_refused_as_asyncio_does() -> None:
    rig = Rig(extra={"peername": ("10.0.0.1", 80)})
    with pytest.raises(TypeError, match="bytes-like"):
        rig.transport.write("text")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="streaming protocol"):
        rig.transport.set_protocol(asyncio.DatagramProtocol())
    assert rig.transport.get_extra_info("peername") == ("10.0.0.1", 80)
    assert rig.transport.get_extra_info("nothing", 3) == 3
    other = Application(rig.timer)
    rig.transport.set_protocol(other)
    assert rig.transport.get_protocol() is other
    rig.socket.side.data_received(b"x")
    rig.run(1.0)
    assert other.received == b"x"


async def test_lateness_of_every_release_is_recorded() -> None:
    rig = Rig()
    rig.transport.write(bytes(100_000))
    rig.run(5.0, late_s=0.004)
    measured = rig.links.meter.measured()
    assert measured.lateness_ms_max == pytest.approx(4.0, rel=1e-6)
    assert measured.lateness_ms_p50 == pytest.approx(4.0, rel=0.06)
