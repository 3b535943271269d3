"""Modelled TCP transfers by a clock that is moved by hand: no wall time, no socket."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from netem.channel import Piece, Signal
from netem.fidelity import FidelityMeter
from netem.link import FRAME_BYTES, LinkParameters
from netem.loss import Loss
from netem.pipe import Pipe
from netem.tcp.channel import TcpChannel
from netem.tcp.parameters import TcpParameters
from netem.tcp.path import TcpPath
from netem.timer import ManualTimer

_CHUNK = bytes(65536)
_WORD = (1 << 64) - 1


@dataclass(frozen=True)
class Cell:
    """A symmetric link and what its senders are like."""

    mbit_s: float
    rtt_ms: float
    queue_bytes: float
    congestion_control: str = "cubic"
    loss: float = 0.0
    seed: tuple[int, ...] = (0,)

    def link(self) -> LinkParameters:
        tcp = TcpParameters(self.congestion_control, self.queue_bytes, self.loss, self.seed)
        return LinkParameters(self.mbit_s * 125e3, self.rtt_ms / 2e3, tcp=tcp)


class Application:
    """Writes as long as there is room, and counts what arrives."""

    def __init__(self, pipe: Pipe, timer: ManualTimer, path: TcpPath | None = None) -> None:
        """`path`: instead of the pipe's own."""
        self._pipe = pipe
        self._timer = timer
        self._left = 0
        self.channel = TcpChannel(pipe, self, path) if path else pipe.channel(self)
        self.received: list[Piece] = []
        self.arrivals: list[tuple[float, int]] = []
        self.count = 0

    @property
    def sender(self) -> TcpChannel:
        if not isinstance(self.channel, TcpChannel):
            raise TypeError("the link has no TCP senders")
        return self.channel

    def write(self, count: int) -> None:
        self._left += count
        self.sent()

    def sent(self) -> None:
        while self._left and self.channel.queued_bytes <= self._pipe.queue_limit_bytes:
            size = min(self._left, len(_CHUNK))
            self._left -= size
            self.channel.send(_CHUNK[:size])

    def arrived(self, items: list[Piece | Signal]) -> None:
        pieces = [item for item in items if not callable(item)]
        self.received += pieces
        self.count += sum(map(len, pieces))
        self.arrivals.append((self._timer.now(), self.count))


class Rig:
    """One direction of a device and its connections."""

    def __init__(self, link: LinkParameters) -> None:
        self.timer = ManualTimer()
        self.pipe = Pipe(link, self.timer, FidelityMeter(), link)

    def application(self) -> Application:
        return Application(self.pipe, self.timer)

    def run_until(self, done: Callable[[], bool]) -> None:
        while not done():
            if self.timer.next_s() == float("inf"):
                raise RuntimeError("nothing more will happen")
            self.timer.advance(self.timer.next_s())


def transfer_s(cell: Cell, count: int, pause_s: float | None = None) -> float:
    """Seconds from the first write to the last byte's arrival, the connection being there; with a
    pause, of the second of two transfers on one connection."""
    rig = Rig(cell.link())
    application, start_s = rig.application(), 0.0
    application.write(count)
    rig.run_until(lambda: application.count == count)
    if pause_s is not None:
        start_s = rig.timer.now() + pause_s
        rig.timer.advance(start_s)
        application.write(count)
        rig.run_until(lambda: application.count == 2 * count)
    return rig.timer.now() - start_s


class RecordedLoss:
    """The losses of benchmarks/kernel_tcp.json: xorshift64, so that the same packets get lost in
    the model as were lost under the kernel's TCP, and few runs compare well."""

    def __init__(self, share: float, seed: int) -> None:
        self._share = share
        self._word = (seed * 0x9E3779B97F4A7C15 + 1) & _WORD
        for _ in range(20):
            self._next()

    def strikes(self) -> bool:
        return self._next() < self._share

    def _next(self) -> float:
        word = self._word
        word ^= (word << 13) & _WORD
        word ^= word >> 7
        self._word = word = word ^ ((word << 17) & _WORD)
        return (word >> 11) * 2.0**-53


def delivered(cell: Cell, seconds: float, loss: Loss) -> int:
    """Bytes that arrive within so long, of a transfer without an end."""
    rig = Rig(cell.link())
    path = TcpPath.of(cell.link(), cell.link(), FRAME_BYTES)
    if path is None:
        raise TypeError("the link has no TCP senders")
    application = Application(rig.pipe, rig.timer, replace(path, loss=loss))
    application.write(1 << 40)
    rig.timer.advance(seconds)
    return application.count
