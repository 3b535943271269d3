"""A device's pair of links, which all its connections share, and what they measured."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from netem.channel import Channel, Parcel, Piece, Signal
from netem.fidelity import FidelityMeter
from netem.junction import Crossing
from netem.link import LinkParameters
from netem.pipe import Ends, Pipe
from netem.present import Present
from netem.tcp.rounds_channel import RoundsChannel
from netem.tcp.rounds_pipe import RoundsPipe
from netem.timer import Timer

Crossings = tuple[Crossing[Parcel] | None, Crossing[Parcel] | None]
"""What a device shares with others, up and down."""


@dataclass(frozen=True, slots=True)
class LinkPair:
    """What a device's access link is like: up is what the device sends."""

    up: LinkParameters
    down: LinkParameters

    def scaled(self, time_scale: float) -> "LinkPair":
        return LinkPair(self.up.scaled(time_scale), self.down.scaled(time_scale))


class Abortable(Protocol):
    """A connection over the links, or one that is being set up."""

    def abort(self) -> None: ...


class DeviceLinks:
    """Up and down of one device. Every HTTP and WebSocket connection of the device goes through
    this one pair, and shares it fairly."""

    def __init__(
        self,
        pair: LinkPair,
        timer: Timer,
        meter: FidelityMeter | None = None,
        shared: Crossings = (None, None),
        present: Present | None = None,
    ) -> None:
        """`shared`: what its two directions share with other devices. `present`: the device's."""
        self.meter = meter or FidelityMeter()
        up, down = Ends(sender=present), Ends(receiver=present)
        self.up = _pipe(pair, timer, self.meter, shared[0], up)
        self.down = _pipe(LinkPair(pair.down, pair.up), timer, self.meter, shared[1], down)
        self.connections: set[Abortable] = set()
        self.closed = False

    def bytes_passed(self) -> tuple[int, int]:
        """Bytes up and down so far, framing included: the `meter` of `protocol.telemetry`."""
        return self.up.passed.wire, self.down.passed.wire

    def losses(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Segments that the air took and of how many, up and down; of senders by rounds none."""
        up, down = (
            pipe.losses() if isinstance(pipe, Pipe) else (0, 0) for pipe in (self.up, self.down)
        )
        return up, down

    async def round_trip(self) -> None:
        """One bare frame up and one down: what it takes to set up a connection.

        Raises ConnectionAbortedError if the links are closed, before or meanwhile.
        """
        trip = _RoundTrip(self)
        if self.closed:
            trip.abort()
        await trip.done()

    def hang_up(self) -> None:
        """Abort every connection, as a device does that is switched off."""
        for connection in list(self.connections):
            connection.abort()

    def close(self) -> None:
        """Abort what is left and deliver nothing more. Close sessions first: session.close()
        waits until what its connections had in flight has arrived."""
        self.closed = True
        self.hang_up()
        self.up.close()
        self.down.close()


def _pipe(
    pair: LinkPair,
    timer: Timer,
    meter: FidelityMeter,
    shared: Crossing[Parcel] | None,
    ends: Ends,
) -> Pipe | RoundsPipe:
    """Of the pair's first direction. What devices share keeps senders by segments; senders by
    rounds are for clocks that nothing is late on."""
    link, back = pair.up, pair.down
    if link.tcp is not None and link.tcp.by_rounds and shared is None:
        return RoundsPipe(link, link.tcp, timer, meter, back)
    return Pipe(link, timer, meter, back, shared, ends)


class _RoundTrip:
    def __init__(self, links: DeviceLinks) -> None:
        self._links = links
        self._back: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._up: Channel | RoundsChannel = links.up.channel(self, handshake=True)
        self._down: Channel | RoundsChannel = links.down.channel(self, handshake=True)

    async def done(self) -> None:
        self._links.connections.add(self)
        self._up.send(lambda: self._down.send(self._arrived_back))
        try:
            await self._back
        finally:
            self._links.connections.discard(self)
            self._up.drop()
            self._down.drop()

    def abort(self) -> None:
        if not self._back.done():
            self._back.set_exception(ConnectionAbortedError("the device's links are closed"))

    def arrived(self, items: list[Piece | Signal]) -> None:
        for item in items:
            if callable(item):
                item()

    def sent(self) -> None:
        """A bare frame needs no room."""

    def _arrived_back(self) -> None:
        if not self._back.done():
            self._back.set_result(None)
