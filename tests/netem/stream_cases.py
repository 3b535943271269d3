"""What asyncio's stream transports promise, each promise a case of two ends."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest


@dataclass
class Peer(asyncio.Protocol):
    """Writes down what happens to it."""

    keep_open: bool = False
    fail: bool = False
    story: list[str] = field(default_factory=list)
    data: bytearray = field(default_factory=bytearray)
    made: asyncio.Event = field(default_factory=asyncio.Event)
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None
    transport: asyncio.Transport = field(default_factory=asyncio.Transport)
    awaited: list[tuple[int, asyncio.Future[None]]] = field(default_factory=list)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.story.append("made")
        self.made.set()

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes
        assert data
        if self.fail:
            raise ValueError("a fault of the protocol")
        self.data += data
        for size, future in self.awaited:
            if len(self.data) >= size and not future.done():
                future.set_result(None)

    def eof_received(self) -> bool:
        self.story.append("eof")
        self.ended.set()
        return self.keep_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.story.append("lost")
        self.error = exc
        self.lost.set()

    def pause_writing(self) -> None:
        self.story.append("pause")

    def resume_writing(self) -> None:
        self.story.append("resume")

    async def received(self, size: int) -> bytes:
        future = asyncio.get_running_loop().create_future()
        self.awaited.append((size, future))
        if len(self.data) < size:
            await future
        return bytes(self.data)


Case = Callable[[Peer, Peer], Awaitable[None]]


async def connected(case: Case, near: Peer, far: Peer) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: far, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    transport, protocol = await loop.create_connection(lambda: near, host, port)
    assert protocol is near
    assert near.transport is transport
    assert transport.get_extra_info("peername")[:2] == (host, port)
    assert transport.get_extra_info("nonesuch", 7) == 7
    try:
        await far.made.wait()
        await asyncio.wait_for(_awaited(case, near, far), 20)
    finally:
        server.close()
        for peer in (near, far):
            peer.transport.abort()
        await asyncio.gather(near.lost.wait(), far.lost.wait())
    assert near.story.count("lost") == far.story.count("lost") == 1


async def _awaited(case: Case, near: Peer, far: Peer) -> None:
    await case(near, far)


async def bytes_arrive_in_order_never_within_the_call(near: Peer, far: Peer) -> None:
    near.transport.write(b"a")
    near.transport.writelines([b"b", bytearray(b"c"), memoryview(b"d")])
    near.transport.write(b"")
    assert not far.data
    assert await far.received(4) == b"abcd"
    far.transport.write(b"back")
    assert await near.received(4) == b"back"


async def what_was_written_is_what_it_was_then(near: Peer, far: Peer) -> None:
    data = bytearray(b"then")
    near.transport.write(data)
    data[:] = b"now."
    assert await far.received(4) == b"then"


async def only_bytes_are_written(near: Peer, far: Peer) -> None:
    with pytest.raises(TypeError):
        near.transport.write("text")  # type: ignore[arg-type]


async def close_delivers_what_was_written(near: Peer, far: Peer) -> None:
    near.transport.write(bytes(200_000))
    near.transport.close()
    assert near.transport.is_closing()
    near.transport.write(b"too late")
    near.transport.close()
    await far.lost.wait()
    assert len(far.data) == 200_000
    await near.lost.wait()
    assert far.story[-2:] == ["eof", "lost"]
    assert far.error is near.error is None
    assert "eof" not in near.story


async def nothing_is_received_after_close(near: Peer, far: Peer) -> None:
    far.transport.write(b"before")
    await near.received(6)
    near.transport.close()
    assert not near.transport.is_reading()
    await near.lost.wait()
    assert near.data == b"before"


async def a_half_closed_connection_goes_on_the_other_way(near: Peer, far: Peer) -> None:
    far.keep_open = True
    assert near.transport.can_write_eof()
    near.transport.write(b"question")
    near.transport.write_eof()
    near.transport.write_eof()
    with pytest.raises(RuntimeError, match=r"write_eof\(\)"):
        near.transport.write(b"more")
    await far.ended.wait()
    assert far.data == b"question"
    far.transport.write(b"answer")
    far.transport.close()
    await near.lost.wait()
    assert near.data == b"answer"
    assert far.story.count("eof") == 1


async def the_end_closes_who_does_not_keep_open(near: Peer, far: Peer) -> None:
    near.transport.write_eof()
    await far.lost.wait()
    await near.lost.wait()
    assert near.error is far.error is None


async def reading_pauses_and_resumes(near: Peer, far: Peer) -> None:
    assert far.transport.is_reading()
    far.transport.pause_reading()
    assert not far.transport.is_reading()
    near.transport.write(b"patience")
    await asyncio.sleep(0.01)
    assert not far.data
    far.transport.resume_reading()
    assert await far.received(8) == b"patience"


async def a_paused_end_is_told_of_later(near: Peer, far: Peer) -> None:
    far.transport.pause_reading()
    near.transport.write(b"last")
    near.transport.close()
    await asyncio.sleep(0.01)
    assert far.story == ["made"]
    far.transport.resume_reading()
    await far.lost.wait()
    assert far.data == b"last"


async def a_full_writer_is_paused_and_resumed(near: Peer, far: Peer) -> None:
    near.transport.set_write_buffer_limits(high=10_000, low=1000)
    assert near.transport.get_write_buffer_limits() == (1000, 10_000)
    far.transport.pause_reading()
    sent = 0
    while "pause" not in near.story:
        near.transport.write(bytes(500_000))
        sent += 500_000
        assert sent < 50_000_000
    assert near.transport.get_write_buffer_size() > 10_000
    far.transport.resume_reading()
    await far.received(sent)
    await asyncio.sleep(0.01)
    assert near.story[-1] == "resume"
    assert near.transport.get_write_buffer_size() == 0
    assert near.story.count("pause") == near.story.count("resume")


async def limits_must_make_sense(near: Peer, far: Peer) -> None:
    transport = near.transport
    with pytest.raises(ValueError, match="must be >="):
        transport.set_write_buffer_limits(high=1, low=2)
    transport.set_write_buffer_limits()
    assert transport.get_write_buffer_limits() == (16_384, 65_536)
    transport.set_write_buffer_limits(low=100)
    assert transport.get_write_buffer_limits() == (100, 400)
    transport.set_write_buffer_limits(high=400)
    assert transport.get_write_buffer_limits() == (100, 400)


async def abort_ends_both(near: Peer, far: Peer) -> None:
    far.transport.pause_reading()
    near.transport.write(bytes(30_000_000))
    near.transport.abort()
    near.transport.abort()
    assert near.transport.is_closing()
    await near.lost.wait()
    assert near.error is None
    far.transport.resume_reading()
    await far.lost.wait()
    assert len(far.data) < 30_000_000


async def closing_on_unread_data_resets_the_peer(near: Peer, far: Peer) -> None:
    far.transport.pause_reading()
    near.transport.write(b"nobody reads this")
    await asyncio.sleep(0.01)
    far.transport.abort()
    await near.lost.wait()
    assert isinstance(near.error, ConnectionResetError)


async def writing_to_one_who_is_gone_breaks(near: Peer, far: Peer) -> None:
    near.keep_open = True
    far.transport.close()
    await far.lost.wait()
    await near.ended.wait()
    for _ in range(100):
        if near.lost.is_set():
            break
        near.transport.write(b"hello?")
        await asyncio.sleep(0.001)
    await near.lost.wait()
    assert isinstance(near.error, ConnectionError)


async def a_protocol_that_fails_loses_its_connection(near: Peer, far: Peer) -> None:
    told: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
    far.fail = True
    near.transport.write(b"x")
    await far.lost.wait()
    assert isinstance(far.error, ValueError)
    await near.lost.wait()
    assert told


async def the_protocol_may_be_exchanged(near: Peer, far: Peer) -> None:
    other = Peer()
    far.transport.set_protocol(other)
    assert far.transport.get_protocol() is other
    near.transport.write(b"for the other")
    assert await other.received(13) == b"for the other"
    far.transport.set_protocol(far)


CASES: list[Case] = [
    bytes_arrive_in_order_never_within_the_call,
    what_was_written_is_what_it_was_then,
    only_bytes_are_written,
    close_delivers_what_was_written,
    nothing_is_received_after_close,
    a_half_closed_connection_goes_on_the_other_way,
    the_end_closes_who_does_not_keep_open,
    reading_pauses_and_resumes,
    a_paused_end_is_told_of_later,
    a_full_writer_is_paused_and_resumed,
    limits_must_make_sense,
    abort_ends_both,
    closing_on_unread_data_resets_the_peer,
    writing_to_one_who_is_gone_breaks,
    a_protocol_that_fails_loses_its_connection,
    the_protocol_may_be_exchanged,
]
