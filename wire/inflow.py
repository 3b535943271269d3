"""A body of known length, straight from a transport into the memory where it is to stay.

While it comes an `Inflow` stands in for the protocol that owns the connection, as a buffered
protocol: no object is made for each piece and nothing is copied on the way, which takes a third of
the processor time of a stream of pieces. It knows nothing of what the bytes are, or of HTTP.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

RECEIVE_BYTES = 2**20
"""At most at a time: larger pieces save nothing, and other connections have to wait for one."""
_DROPPED = memoryview(bytearray(2**16))
"""Where bytes go that nobody wants; shared, since nobody reads them."""


class Place(Protocol):
    """Memory, filled from its beginning."""

    def room(self) -> memoryview:
        """Where the next bytes go; not empty."""

    def filled(self, size: int) -> None:
        """So many have been put there."""


class Inflow(asyncio.BufferedProtocol):
    """The next `size` (at least 1) bytes of a connection go to `place`; then its owner has it
    again, after `ended` was called."""

    def __init__(
        self, transport: asyncio.Transport, place: Place, size: int, ended: Callable[[], None]
    ) -> None:
        loop = asyncio.get_running_loop()
        self._transport = transport
        self._owner = transport.get_protocol()
        self._place: Place | None = place
        self._left = size
        self._ended = ended
        self._now = loop.time
        self._moved_s = loop.time()
        self._whole: asyncio.Future[None] = loop.create_future()
        transport.set_protocol(self)

    async def whole(self, stall_s: float | None = None) -> None:
        """Once all bytes are there. ConnectionError if the connection ends before, TimeoutError if
        none comes for `stall_s`. Whatever ends it, nothing touches the place afterwards."""
        try:
            while not self._whole.done():
                left_s = None if stall_s is None else self._moved_s + stall_s - self._now()
                if left_s is not None and left_s <= 0:
                    raise TimeoutError
                await asyncio.wait({self._whole}, timeout=left_s)
            self._whole.result()
        finally:
            self._place = None

    # What the transport calls.

    def get_buffer(self, sizehint: int) -> memoryview:
        room = _DROPPED if self._place is None else self._place.room()
        return room[: min(self._left, RECEIVE_BYTES)]

    def buffer_updated(self, nbytes: int) -> None:
        self._moved_s = self._now()
        self._left -= nbytes
        if self._place is not None:
            self._place.filled(nbytes)
        if not self._left:
            self._transport.set_protocol(self._owner)
            self._ended()
            self._whole.set_result(None)

    def eof_received(self) -> None:
        """Too early: the connection is of no use."""

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._whole.done():
            self._whole.set_exception(ConnectionResetError("the connection ended"))
            self._whole.exception()  # seen: perhaps nobody waits any more
        self._owner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._owner.pause_writing()

    def resume_writing(self) -> None:
        self._owner.resume_writing()
