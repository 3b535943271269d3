"""Stream connections in memory, as asyncio's own transports behave over loopback sockets.

What is written travels in order and arrives in a later iteration of the loop, never within the
call. Each direction holds `SOCKET_BYTES` like a kernel's buffer; more than that waits in the
writer's own buffer, counts against its limits, and pauses its protocol.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from netem.channel import Phantom

SOCKET_BYTES = 65536
"""What a direction takes before the writer's own buffer fills: a small socket's."""
READ_BYTES = 262144
"""Most that arrives at once: asyncio's own."""
_HIGH_BYTES = 65536

Buffer = bytes | bytearray | memoryview


class MemoryTransport(asyncio.Transport):
    """One end of a connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop, extra: dict[str, Any]) -> None:
        super().__init__(extra)
        self._loop = loop
        self._info = extra
        self._protocol: asyncio.BaseProtocol
        self._peer: MemoryTransport
        self._sent: deque[bytes | Phantom] = deque()
        """Written here and not yet taken by the far end."""
        self._sent_bytes = 0
        self._high_bytes, self._low_bytes = _HIGH_BYTES, _HIGH_BYTES // 4
        self._eof_sent = False
        self._eof_received = False
        self._reading = False
        self._read_scheduled = False
        self._writer_paused = False
        self._closing = False
        """No more is read or written here; what was written may still be on its way out."""
        self._gone = False
        """The descriptor would be closed."""
        self.phantom_bytes = 0
        """How much of phantoms has arrived here."""

    def begin(self, protocol: asyncio.BaseProtocol, peer: "MemoryTransport") -> None:
        """Call `connection_made`, and read from then on."""
        self._protocol, self._peer = protocol, peer

        def made() -> None:
            protocol.connection_made(self)
            if not self._closing:
                self._reading = True
                self._wake()

        self._loop.call_soon(made)

    # What asyncio asks of a transport.

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401
        return self._info.get(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        if not self._closing:
            self._reading = False

    def resume_reading(self) -> None:
        if not self._closing and not self._reading:
            self._reading = True
            self._wake()

    def write(self, data: Buffer) -> None:
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data must be bytes-like, not {type(data).__name__}")
        if self._eof_sent:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing or not data:
            return
        if self._peer._gone:
            self._lose(BrokenPipeError("the far end of the connection is closed"))
            return
        self._sent.append(data if type(data) is bytes else bytes(data))
        self._sent_bytes += len(data)
        self._peer._wake()
        if not self._writer_paused and self.get_write_buffer_size() > self._high_bytes:
            self._writer_paused = True
            self._guard(self._protocol.pause_writing)

    def write_phantom(self, size: int) -> None:
        """So many bytes without content, in their place among the others. They fill no buffer."""
        if self._eof_sent:
            raise RuntimeError("Cannot call write_phantom() after write_eof()")
        if not self._closing and not self._peer._gone:
            self._sent.append(Phantom(size))
            self._peer._wake()

    def write_eof(self) -> None:
        if not self._closing and not self._eof_sent:
            self._eof_sent = True
            self._peer._wake()

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return max(0, self._sent_bytes - SOCKET_BYTES)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low_bytes, self._high_bytes

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is None:
            high = 4 * low if low is not None else _HIGH_BYTES
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high}) must be >= low ({low}) must be >= 0")
        self._high_bytes, self._low_bytes = high, low
        if not self._writer_paused and self.get_write_buffer_size() > high:
            self._writer_paused = True
            self._guard(self._protocol.pause_writing)

    def close(self) -> None:
        """What was written still goes out; then the connection is lost on this side."""
        if not self._closing:
            self._closing = True
            self._reading = False
            if not self.get_write_buffer_size():
                self._leave(None)

    def abort(self) -> None:
        """What the socket has taken still goes out, as a kernel's would."""
        if self._gone:
            return
        while self.get_write_buffer_size() and self._sent:
            self._sent_bytes -= _held(self._sent.pop())
        self._closing = True
        self._leave(None)

    # Inside.

    def _wake(self) -> None:
        """There may be something to read."""
        if self._reading and not self._read_scheduled and not self._closing:
            self._read_scheduled = True
            self._loop.call_soon(self._read)

    def _read(self) -> None:
        self._read_scheduled = False
        if not self._reading or self._closing:
            return
        peer = self._peer
        if peer._sent:
            while isinstance(data := peer._take(READ_BYTES), Phantom):
                self._pass_on(data)
                if not peer._sent or not self._reading or self._closing:
                    break
            else:
                self._deliver(data)
            peer._match_writer()
            if peer._sent or peer._eof_sent or peer._gone:
                self._wake()
        elif (peer._eof_sent or peer._gone) and not self._eof_received:
            self._eof_received = True
            keep_open = self._guard(self._protocol.eof_received)  # type: ignore[attr-defined]
            if not keep_open:
                self.close()

    def _take(self, most_bytes: int) -> bytes | Phantom:
        """The oldest of what was written, in one piece: a phantom, or bytes up to the next."""
        sent = self._sent
        first = sent[0]
        if isinstance(first, Phantom):
            sent.popleft()
            return first
        if len(sent) == 1 and len(first) <= most_bytes:
            sent.popleft()
            data = first
        else:
            pieces, room = [], most_bytes
            while sent and room and not isinstance(piece := sent[0], Phantom):
                sent.popleft()
                if len(piece) > room:
                    sent.appendleft(piece[room:])
                    piece = piece[:room]
                pieces.append(piece)
                room -= len(piece)
            data = b"".join(pieces)
        self._sent_bytes -= len(data)
        return data

    def _pass_on(self, phantom: Phantom) -> None:
        """To a protocol that knows of phantoms; for others the count of them is all."""
        self.phantom_bytes += phantom.size
        if hasattr(self._protocol, "phantom_received"):
            self._guard(self._protocol.phantom_received, phantom)

    def _deliver(self, data: bytes) -> None:
        if isinstance(self._protocol, asyncio.Protocol):
            self._guard(self._protocol.data_received, data)
            return
        view = memoryview(data)
        while view and not self._closing:
            protocol = self._protocol  # which may give the connection away in between
            if isinstance(protocol, asyncio.Protocol):
                self._guard(protocol.data_received, bytes(view))
                return
            if not isinstance(protocol, asyncio.BufferedProtocol):
                raise TypeError(f"{type(protocol).__name__} is no protocol of a stream")
            buffer = memoryview(protocol.get_buffer(len(view)))
            size = min(len(buffer), len(view))
            buffer[:size] = view[:size]
            view = view[size:]
            self._guard(protocol.buffer_updated, size)

    def _match_writer(self) -> None:
        """The far end has taken something."""
        if self._gone:
            return
        if self._writer_paused and self.get_write_buffer_size() <= self._low_bytes:
            self._writer_paused = False
            if not self._closing:
                self._guard(self._protocol.resume_writing)
        if self._closing and not self.get_write_buffer_size():
            self._leave(None)

    def _leave(self, error: Exception | None) -> None:
        """This end is gone. With something unread, the far end's connection is reset, as TCP
        does; otherwise it reads to the end of what was sent."""
        if self._gone:
            return
        self._gone = self._closing = True
        self._reading = False
        peer = self._peer
        if peer._sent and not peer._gone:
            peer._lose(ConnectionResetError("the far end closed with data unread"))
        else:
            peer._wake()
        self._loop.call_soon(self._lost, error)

    def _lose(self, error: Exception) -> None:
        """The connection broke."""
        if not self._gone:
            self._sent.clear()
            self._sent_bytes = 0
            self._leave(error)

    def _lost(self, error: Exception | None) -> None:
        self._guard(self._protocol.connection_lost, error)

    def _guard(self, call: Callable[..., object], *args: object) -> object:
        """As asyncio's own transports do: a protocol that fails loses its connection, and the
        loop's exception handler is told."""
        try:
            return call(*args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._loop.call_exception_handler(
                {"message": "protocol failed", "exception": error, "transport": self}
            )
            if isinstance(error, Exception):
                self._lose(error)
            return None


def _held(piece: bytes | Phantom) -> int:
    return 0 if isinstance(piece, Phantom) else len(piece)


def connect_pair(
    loop: asyncio.AbstractEventLoop,
    names: tuple[object, object],
    protocols: tuple[asyncio.BaseProtocol, asyncio.BaseProtocol],
) -> tuple[MemoryTransport, MemoryTransport]:
    """Two ends; `names` are the addresses of the first and the second."""
    first = MemoryTransport(loop, {"sockname": names[0], "peername": names[1]})
    second = MemoryTransport(loop, {"sockname": names[1], "peername": names[0]})
    second.begin(protocols[1], first)
    first.begin(protocols[0], second)
    return first, second
