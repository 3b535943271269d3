"""A shaped transport between doubles of its application and its socket, with time under control."""

import asyncio
from collections.abc import Callable
from typing import Any

from netem.device import DeviceLinks, LinkPair
from netem.link import LinkParameters
from netem.pipe import QUEUE_S
from netem.shaper import ShapedTransport
from netem.socket_side import SocketSide
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
