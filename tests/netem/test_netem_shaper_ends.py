"""The shaped transport as connections end: in order, at once, or by a fault; and misuse of it."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from netem.link import wire_bytes
from netem.shaper import ShapedTransport
from tests.netem.shaper_rig import DELAY_S, RATE, Application, Rig, content


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
