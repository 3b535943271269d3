"""What a transfer should take over a stream link: the link's own arithmetic under a clock that is
moved by hand, so that nothing of the host enters."""

from netem.channel import Piece, Signal
from netem.device import DeviceLinks, LinkPair
from netem.link import wire_bytes
from netem.timer import ManualTimer

HEADERS_BYTES = 220
"""Of aiohttp's request; a response's are as good as this."""
_WS_THERE, _WS_BACK = 6, 2
"""What a WebSocket frame adds to a small message: masked from the client, not from the server."""
_LONGEST_S = 600.0


class _Far:
    def __init__(self, timer: ManualTimer, count: int) -> None:
        self._timer, self._left, self.done_s = timer, count, None if count else timer.now()

    def arrived(self, items: list[Piece | Signal]) -> None:
        self._left -= sum(len(item) for item in items if not callable(item))
        if self._left <= 0 and self.done_s is None:
            self.done_s = self._timer.now()

    def sent(self) -> None:
        """All of it was offered at once."""


def transfer_s(pair: LinkPair, up: bool, count: int) -> float | None:
    """Seconds from the first packet of a fresh connection to the last byte at the receiver: the
    handshake, the request, and (down) the answer. None if it takes longer than ten minutes."""
    timer = ManualTimer()
    links = DeviceLinks(pair, timer)
    seconds = pair.up.delay_s + pair.down.delay_s
    seconds += wire_bytes(0) / pair.up.bytes_per_s + wire_bytes(0) / pair.down.bytes_per_s
    legs = (
        [(links.up, HEADERS_BYTES + count)]
        if up
        else [
            (links.up, HEADERS_BYTES),
            (links.down, HEADERS_BYTES + count),
        ]
    )
    for pipe, size in legs:
        start_s, far = timer.now(), _Far(timer, size)
        pipe.channel(far).send(bytes(size))
        while far.done_s is None and timer.next_s() < _LONGEST_S:
            timer.advance(timer.next_s())
        if far.done_s is None:
            return None
        seconds += far.done_s - start_s
    return seconds


def ping_s(pair: LinkPair, size: int) -> float:
    """A small message there and back on an idle link."""
    there = wire_bytes(size + _WS_THERE) / pair.up.bytes_per_s
    back = wire_bytes(size + _WS_BACK) / pair.down.bytes_per_s
    return pair.up.delay_s + pair.down.delay_s + there + back
