"""What a transfer should take over a stream link: the link's own arithmetic under a clock that is
moved by hand, so that nothing of the host enters."""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from netem.channel import Phantom, Piece, Signal
from netem.device import Crossings, DeviceLinks, LinkPair
from netem.link import wire_bytes
from netem.timer import ManualTimer, Timer

HEADERS_BYTES = 220
"""Of aiohttp's request; a response's are as good as this."""
_WS_THERE, _WS_BACK = 6, 2
"""What a WebSocket frame adds to a small message: masked from the client, not from the server."""
_LONGEST_S = 600.0
_TRIAL_BYTES, _LEAST_BYTES = 200_000, 30_000


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
        pipe.channel(far).send(Phantom(size))
        while far.done_s is None and timer.next_s() < _LONGEST_S:
            timer.advance(timer.next_s())
        if far.done_s is None:
            return None
        seconds += far.done_s - start_s
    return seconds


def affordable_bytes(pair: LinkPair, up: bool, most: int, longest_s: float) -> int:
    """What a transfer may move, at most so much, to take about that long: where packets get lost
    it is not the rate that says so."""
    taken_s = transfer_s(pair, up, _TRIAL_BYTES) or _LONGEST_S
    return max(_LEAST_BYTES, min(most, int(_TRIAL_BYTES * longest_s / taken_s)))


Traveller = tuple[LinkPair, Crossings]
"""A device's links, and what its two directions share with other devices."""


def rounds_s(travellers: Callable[[Timer], Sequence[Traveller]], count: int) -> list[float]:
    """For each of these devices, which begin at once: seconds until it has downloaded so many bytes
    over a fresh connection and uploaded as many."""
    timer = ManualTimer()
    keys: list[object] = []
    devices: dict[object, _Device] = {}
    for number, (pair, crossings) in enumerate(travellers(timer)):
        keys.append(_alike(pair) if crossings == (None, None) else number)
        if keys[-1] not in devices:
            devices[keys[-1]] = _Device(DeviceLinks(pair, timer, None, crossings), timer, count)
    for device in devices.values():
        device.start()
    under_way = list(devices.values())
    while under_way and timer.next_s() < math.inf:
        timer.advance(timer.next_s())
        under_way = [device for device in under_way if device.done_s is None]
    done_s = {key: device.done_s for key, device in devices.items()}
    return [math.inf if (done := done_s[key]) is None else done for key in keys]


def _alike(pair: LinkPair) -> object:
    """Equal for devices that take equally long: those whose links leave nothing to chance do so
    whatever their seeds are."""
    links = []
    for link in (pair.up, pair.down):
        if link.varying is not None or link.variation is not None:
            return object()
        if link.tcp is not None and not link.tcp.loss:
            link = replace(link, tcp=replace(link.tcp, seed=()))
        links.append(link)
    return tuple(links)


class _Device:
    """A handshake, a request and its answer, a request with a body: one after the other."""

    def __init__(self, links: DeviceLinks, timer: ManualTimer, count: int) -> None:
        self.done_s: float | None = None
        self._links, self._timer = links, timer
        self._steps = deque([("up", HEADERS_BYTES), ("down", HEADERS_BYTES + count)])
        self._steps.append(("up", HEADERS_BYTES + count))
        self._left = 0
        self._channels = {"up": links.up.channel(self), "down": links.down.channel(self)}

    def start(self) -> None:
        back = self._links.down.channel(self, handshake=True)
        there = self._links.up.channel(self, handshake=True)
        there.send(lambda: back.send(self._next))

    def arrived(self, items: list[Piece | Signal]) -> None:
        for item in items:
            if callable(item):
                item()
            else:
                self._left -= len(item)
                if not self._left:
                    self._next()

    def sent(self) -> None:
        """All of it was offered at once."""

    def _next(self) -> None:
        if not self._steps:
            self.done_s = self._timer.now()
            return
        way, self._left = self._steps.popleft()
        self._channels[way].send(Phantom(self._left))


def ping_s(pair: LinkPair, size: int) -> float:
    """A small message there and back on an idle link."""
    there = wire_bytes(size + _WS_THERE) / pair.up.bytes_per_s
    back = wire_bytes(size + _WS_BACK) / pair.down.bytes_per_s
    return pair.up.delay_s + pair.down.delay_s + there + back
