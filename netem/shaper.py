"""Shaping at the transport: an asyncio transport and protocol around a real connection.

The application keeps its protocol and sees a transport (`ShapedTransport`); the socket sees a
protocol (`netem.socket_side`). In between, bytes cross the device's links. Neither side knows.
With TLS shaping sits above it: the plaintext is paced, and records' overhead is not counted.

A connection asks and is answered: an answer counts as sent when the last of its request had come,
since the peer's own time is the host's, whose lateness is no part of the emulation. A peer that
speaks unasked (over a WebSocket) is to be declared by calling `get_extra_info("speaks_unasked")`.

Order: what is in flight is delivered before the end of the stream; `close` lets what was written
cross before it closes the socket; `abort` drops everything at once.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from netem.channel import Phantom, Piece, Signal
from netem.device import DeviceLinks

Buffer = bytes | bytearray | memoryview

BULK_BYTES = 65536
"""A request of so many is one that others wait for: the peer's lateness in taking it in counts."""


class ShapedTransport(asyncio.Transport):
    """The application's side of a shaped connection."""

    def __init__(
        self, real: asyncio.Transport, protocol: asyncio.Protocol, links: DeviceLinks
    ) -> None:
        super().__init__()
        self._real = real
        self._protocol: asyncio.Protocol | asyncio.BufferedProtocol = protocol
        self._loop = asyncio.get_running_loop()
        self._up = links.up.channel(_End(self.up_arrived, self.up_sent))
        self._down = links.down.channel(_End(self.down_arrived, self.down_sent))
        self._high_bytes = links.up.queue_limit_bytes
        self._low_bytes = self._high_bytes // 2
        self._down_limit_bytes = links.down.queue_limit_bytes
        self._inbox: deque[Piece | Signal] = deque()
        self._inbox_bytes = 0
        self._reset: Signal | None = None
        self._reading = True
        self._emptying = False
        self._closing = self._eof_sent = self._socket_gone = self._finished = False
        self._links = links
        self._asked_s = math.inf
        """When the last of what was asked was due at the peer."""
        self._asked_bytes = 0
        """How much was asked since the last answer."""
        self._unasked = False
        self.phantom_bytes = 0
        """How much of phantoms has arrived here."""
        links.connections.add(self)
        real.set_write_buffer_limits(high=links.up.queue_limit_bytes)

    # What asyncio asks of a transport.

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401
        if name == "speaks_unasked":
            return self._speaks_unasked
        return self._real.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        if not isinstance(protocol, (asyncio.Protocol, asyncio.BufferedProtocol)):
            raise TypeError("a shaped transport needs a streaming protocol")
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        if not self._reading and not self._closing:
            self._reading = True
            self._loop.call_soon(self._empty_inbox)

    def get_write_buffer_size(self) -> int:
        return self._up.queued_bytes

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low_bytes, self._high_bytes

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is None:
            high = 4 * low if low is not None else 65536  # asyncio's own defaults
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high}) must be >= low ({low}) must be >= 0")
        self._high_bytes, self._low_bytes = high, low
        self._match_writer()

    def write(self, data: Buffer) -> None:
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data must be bytes-like, not {type(data).__name__}")
        if self._eof_sent:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing or not data:
            return
        self._up.send(data if isinstance(data, bytes) else bytes(data))
        self._match_writer()

    def write_phantom(self, size: int) -> None:
        """So many bytes without content. Only a connection in memory carries them."""
        if not self._closing:
            self._up.send(Phantom(size))

    def write_eof(self) -> None:
        if not self._closing and not self._eof_sent:
            self._eof_sent = True
            self._up.send(self._real.write_eof)

    def can_write_eof(self) -> bool:
        return self._real.can_write_eof()

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self._down.drop()
        self._clear_inbox()
        if self._socket_gone:
            self._loop.call_soon(self._finish, None)
        else:
            self._real.pause_reading()
            self._up.send(self._real.close)

    def abort(self) -> None:
        self._closing = True
        self._up.drop()
        self._down.drop()
        self._clear_inbox()
        if self._socket_gone:
            self._loop.call_soon(self._finish, None)
        else:
            self._real.abort()

    # What the socket's side reports.

    def socket_received(self, data: bytes | Phantom) -> None:
        if self._closing:
            return
        self._down.send(data, self._answered_s())
        if self._down.queued_bytes > self._down_limit_bytes and not self._down.blocked:
            self._down.blocked = True
            self._real.pause_reading()

    def socket_ended(self) -> bool:
        """The peer has finished sending. Keeps the socket open for what is still to be written,
        except under TLS, which knows no half-open connections."""
        self._down.send(self._deliver_eof)
        return self._real.get_extra_info("sslcontext") is None

    def socket_lost(self, error: Exception | None) -> None:
        self._socket_gone = True
        self._up.drop()
        if self._closing:
            self._finish(error)
            return
        loss = partial(self._finish, error)
        self._down.send(loss)
        self._down.unhold()
        if error is not None:
            self._reset = loss

    def socket_full(self) -> None:
        self._up.hold()

    def socket_has_room(self) -> None:
        self._up.unhold()

    # What the links report.

    def up_arrived(self, items: list[Piece | Signal]) -> None:
        ready = deque(items)
        self._asked_s = self._links.up.arriving_s
        self._asked_bytes += sum(len(item) for item in items if not callable(item))
        while ready and self._up.open:
            item = _next_joined(ready)
            if callable(item):
                item()
            elif isinstance(item, Phantom):
                self._real.write_phantom(item.size)  # type: ignore[attr-defined]
            else:
                self._real.write(item)

    def up_sent(self) -> None:
        self._match_writer()

    def down_arrived(self, items: list[Piece | Signal]) -> None:
        self._inbox.extend(items)
        self._inbox_bytes += sum(len(item) for item in items if not callable(item))
        self._empty_inbox()
        if self._reset is not None and self._reset in self._inbox:
            self._reset()  # a reset reaches the application even while it does not read
        elif self._inbox_bytes > self._down_limit_bytes and not self._socket_gone:
            self._down.hold()  # the receive window is full

    def down_sent(self) -> None:
        if self._down.blocked and self._down.queued_bytes <= self._down_limit_bytes // 2:
            self._down.blocked = False
            if not self._closing and not self._socket_gone:
                self._real.resume_reading()

    # Inside.

    def _speaks_unasked(self) -> None:
        self._unasked = True

    def _answered_s(self) -> float:
        """When the peer would have sent what it has sent just now, were it never late."""
        if self._unasked:
            return math.inf
        if self._asked_bytes >= BULK_BYTES:
            self._links.meter.held_up(self._links.up.now() - self._asked_s)
        self._asked_bytes = 0
        return self._asked_s

    def _match_writer(self) -> None:
        """Stop or start the application's writing as the queue demands."""
        queued = self._up.queued_bytes
        if not self._up.blocked and queued > self._high_bytes:
            self._up.blocked = True
            self._guard(self._protocol.pause_writing)
        elif self._up.blocked and queued <= self._low_bytes and not self._finished:
            self._up.blocked = False
            self._guard(self._protocol.resume_writing)

    def _empty_inbox(self) -> None:
        if self._emptying:  # the protocol resumed reading from within data_received
            return
        self._emptying = True
        while self._reading and self._inbox:
            item = _next_joined(self._inbox)
            if callable(item):
                item()
                continue
            self._inbox_bytes -= len(item)
            if isinstance(item, Phantom):
                self.phantom_bytes += item.size
            else:
                self._deliver(item)
        self._emptying = False
        if self._inbox_bytes <= self._down_limit_bytes:
            self._down.unhold()

    def _deliver(self, data: Buffer) -> None:
        """To the protocol, or to one after the other should the first give the connection away."""
        view = memoryview(data)
        while view and not self._closing:
            protocol = self._protocol
            if isinstance(protocol, asyncio.Protocol):
                whole = type(data) is bytes and len(view) == len(data)
                self._guard(protocol.data_received, data if whole else bytes(view))
                return
            buffer = memoryview(protocol.get_buffer(len(view)))
            size = min(len(buffer), len(view))
            buffer[:size] = view[:size]
            view = view[size:]
            self._guard(protocol.buffer_updated, size)

    def _clear_inbox(self) -> None:
        self._inbox.clear()
        self._inbox_bytes = 0

    def _deliver_eof(self) -> None:
        keep_open: list[object] = []
        self._guard(lambda: keep_open.append(self._protocol.eof_received()))
        if not any(keep_open):
            self.close()

    def _finish(self, error: Exception | None) -> None:
        if not self._finished:
            self._finished = self._closing = True
            self._links.connections.discard(self)
            self._up.drop()
            self._down.drop()
            self._clear_inbox()
            self._guard(self._protocol.connection_lost, error)

    def _guard(self, call: Callable[..., object], *args: object) -> None:
        """As asyncio's own transports do: a protocol that fails loses its connection, and the
        loop's exception handler is told."""
        try:
            call(*args)
        except Exception as error:
            self._loop.call_exception_handler(
                {"message": "protocol failed", "exception": error, "transport": self}
            )
            self.abort()


class _End:
    """A `netem.channel.Receiver`."""

    def __init__(
        self, arrived: Callable[[list[Piece | Signal]], None], sent: Callable[[], None]
    ) -> None:
        self.arrived, self.sent = arrived, sent


def _next_joined(items: deque[Piece | Signal]) -> Piece | Signal:
    """Take the next signal or phantom, or all the bytes up to it in one piece."""
    first = items.popleft()
    if callable(first) or isinstance(first, Phantom) or not items:
        return first
    pieces = [first]
    while items and not callable(piece := items[0]) and not isinstance(piece, Phantom):
        pieces.append(piece)
        items.popleft()
    return b"".join(pieces) if len(pieces) > 1 else first
