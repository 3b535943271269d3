"""What lies behind the hub: each connection that a device makes there is carried on, byte for
byte, to where the coordinator really listens.

Whole connections are relayed, with their ends and their breaks; what the far side does not read is
not read here either. Bytes pass a relay as fast as they can: time is spent on the device's link.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager


@asynccontextmanager
async def relayed(listeners: Sequence[socket.socket], host: str, port: int) -> AsyncIterator[None]:
    """Relay every connection to the listeners while the context lasts."""
    loop = asyncio.get_running_loop()
    ends: set[_End] = set()
    reaching: set[asyncio.Task[None]] = set()

    def accepted() -> _End:
        near = _End(ends)
        task = loop.create_task(_reach(near, host, port))
        reaching.add(task)
        task.add_done_callback(reaching.discard)
        return near

    servers = [await loop.create_server(accepted, sock=each) for each in listeners]
    try:
        yield
    finally:
        for server in servers:
            server.close()
        for task in reaching:
            task.cancel()
        await asyncio.gather(*reaching, return_exceptions=True)
        for end in list(ends):
            end.abort()
        await asyncio.sleep(0)  # lets the aborted connections close their sockets


async def _reach(near: "_End", host: str, port: int) -> None:
    """Join an accepted connection to a new one; without it the accepted one breaks off."""
    far = _End(near.ends, near)
    try:
        await asyncio.get_running_loop().create_connection(lambda: far, host, port)
    except OSError:
        near.abort()


class _End(asyncio.Protocol):
    """One end of a relayed connection. Nothing is read of either before both are there."""

    def __init__(self, ends: "set[_End]", other: "_End | None" = None) -> None:
        self.ends = ends
        self._other = other
        self._transport: asyncio.Transport | None = None
        self._ended = self._lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a relay needs streams")
        self._transport = transport
        self.ends.add(self)
        if self._other is None:
            transport.pause_reading()
        elif self._other._lost:
            transport.abort()
        else:
            self._other._join(self)

    def _join(self, other: "_End") -> None:
        self._other = other
        if self._transport is not None:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._other is not None and self._other._transport is not None:
            self._other._transport.write(data)

    def pause_writing(self) -> None:
        if self._other is not None and self._other._transport is not None:
            self._other._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._other is not None and self._other._transport is not None:
            self._other._transport.resume_reading()

    def eof_received(self) -> bool:
        """Half closed: the other direction goes on until it ends too."""
        self._ended = True
        other = self._other
        if other is None or other._transport is None or other._ended:
            return False
        other._transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self.ends.discard(self)
        other = self._other
        if other is None or other._transport is None or other._lost:
            return
        if exc is None and self._ended:
            other._transport.close()  # what was written still goes out
        else:
            other.abort()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
