"""TCP senders by round trips beside those by segments, and phantoms on their way."""

import asyncio
from dataclasses import replace

import pytest

from netem.channel import Phantom, Piece, Signal, split
from netem.fidelity import FidelityMeter
from netem.link import LinkParameters, wire_bytes
from netem.tcp.rounds import STEP_S
from netem.tcp.rounds_pipe import RoundsPipe
from netem.timer import ManualTimer
from netem.virtual.loop import VirtualLoop
from netem.virtual.streams import connect_pair
from tests.netem.tcp_rig import Cell, transfer_s


class FarEnd:
    def __init__(self) -> None:
        self.items: list[Piece | Signal] = []
        self.count = 0

    def arrived(self, items: list[Piece | Signal]) -> None:
        self.items += items
        self.count += sum(len(item) for item in items if not callable(item))

    def sent(self) -> None:
        """It needs no room."""


def pipe_of(link: LinkParameters, timer: ManualTimer) -> RoundsPipe:
    assert link.tcp is not None
    return RoundsPipe(link, link.tcp, timer, FidelityMeter(), link)


def phantom_s(cell: Cell, sizes: tuple[int, ...], pause_s: float = 0.0) -> float:
    """Seconds of the last of these transfers."""
    timer, far = ManualTimer(), FarEnd()
    channel = pipe_of(cell.link(), timer).channel(far)
    start_s, expected = 0.0, 0
    for number, size in enumerate(sizes):
        start_s = timer.now() + (pause_s if number else 0.0)
        timer.advance(start_s)
        channel.send(Phantom(size))
        expected += size
        while far.count < expected:
            timer.advance(timer.next_s())
    return timer.now() - start_s


@pytest.mark.parametrize("control", ["cubic", "reno"])
@pytest.mark.parametrize(("mbit_s", "rtt_ms"), [(20, 50), (100, 100), (5, 30), (30, 80)])
@pytest.mark.parametrize("size", [3000, 200_000, 1_000_000])
def test_a_transfer_takes_as_long_as_by_segments(
    mbit_s: float, rtt_ms: float, size: int, control: str
) -> None:
    cell = Cell(mbit_s, rtt_ms, mbit_s * 125e3 * 0.2, control)
    error = phantom_s(cell, (size,)) / transfer_s(cell, size) - 1
    assert abs(error) < (0.005 if control == "cubic" else 0.05)


@pytest.mark.parametrize("pause_s", [0.1, 0.6, 3.0])
def test_an_idle_time_costs_the_same(pause_s: float) -> None:
    cell = Cell(20, 50, 500_000)
    error = phantom_s(cell, (300_000, 300_000), pause_s) / transfer_s(cell, 300_000, pause_s) - 1
    assert abs(error) < 0.005


@pytest.mark.parametrize("loss", [0.0, 0.001, 0.02])
def test_nothing_is_faster_than_the_wire_and_losses_cost_time(loss: float) -> None:
    cell, size = Cell(20, 40, 500_000, loss=loss), 2_000_000
    wire_s = wire_bytes(size) / cell.link().bytes_per_s
    taken_s = phantom_s(cell, (size,))
    assert taken_s >= wire_s + 0.02
    if loss:
        assert taken_s > phantom_s(replace(cell, loss=0.0), (size,))


def test_others_wait_for_two_steps_at_most() -> None:
    timer, bulk, message = ManualTimer(), FarEnd(), FarEnd()
    pipe = pipe_of(Cell(1, 20, 200_000).link(), timer)
    pipe.channel(bulk).send(Phantom(2_000_000))
    timer.advance(3.0)
    pipe.channel(message).send(b"ping")
    timer.advance(3.0 + 2 * (STEP_S + 0.1) + 0.05)
    assert message.count == 4
    assert bulk.count < 2_000_000


def test_a_phantom_splits_without_content() -> None:
    head, rest = split(Phantom(10), 3)
    assert (len(head), len(rest)) == (3, 7)
    assert [bytes(part) for part in split(b"abcd", 1) if not isinstance(part, Phantom)] == [
        b"a",
        b"bcd",
    ]


class Listener(asyncio.Protocol):
    def __init__(self) -> None:
        self.got: list[bytes | int] = []

    def data_received(self, data: bytes) -> None:
        self.got.append(data)

    def phantom_received(self, phantom: Phantom) -> None:
        self.got.append(phantom.size)


def test_a_phantom_keeps_its_place_among_bytes() -> None:
    loop = VirtualLoop()
    ends = asyncio.Protocol(), Listener()
    near, far = connect_pair(loop, ("a", "b"), ends)
    near.write(b"before")
    near.write_phantom(1 << 40)
    near.write(b"after")
    loop.call_later(1.0, loop.stop)
    loop.run_forever()
    loop.close()
    assert ends[1].got == [b"before", 1 << 40, b"after"]
    assert far.phantom_bytes == 1 << 40
    assert near.get_write_buffer_size() == 0
