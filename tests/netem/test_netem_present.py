"""A device's own time: a late host delays the end of a chain, not each link of it."""

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netem.channel import Piece, Signal
from netem.device import DeviceLinks, LinkPair
from netem.fidelity import FidelityMeter
from netem.link import LinkParameters
from netem.machine import EmulatedMachine
from netem.pace import FullSpeed, Pace
from netem.present import HostsPresent, OwnPresent, Present
from netem.tcp.parameters import TcpParameters
from netem.timer import ManualTimer

TCP = TcpParameters("cubic", 400_000)
LINKS = {
    "plain": LinkParameters(2e6, 0.02),
    "tcp": LinkParameters(2e6, 0.02, tcp=TCP),
}


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0, 3) | st.none()), max_size=20))
def test_it_never_runs_backwards_nor_ahead_of_the_host(
    steps: list[tuple[float, float | None]],
) -> None:
    timer = ManualTimer(10.0)
    present, before_s = OwnPresent(timer), -math.inf
    for passing_s, late_s in steps:
        timer.advance(timer.now() + passing_s)
        if late_s is not None:
            due_s = timer.now() - late_s
            assert present.reached(due_s) == 0
            assert present.now() == pytest.approx(max(due_s, before_s))
        assert before_s <= present.now() <= timer.now()
        before_s = present.now()


def test_what_was_made_up_for_stays_so_until_something_else_comes() -> None:
    timer = ManualTimer(10.0)
    present = OwnPresent(timer)
    present.reached(9.7)
    timer.advance(15.0)
    assert present.now() == pytest.approx(14.7), "whatever it waited for began late as well"
    present.reached(15.0)
    assert present.now() == 15.0


def test_on_the_hosts_clock_late_is_late() -> None:
    timer = ManualTimer(10.0)
    present = HostsPresent(timer)
    assert present.reached(9.7) == pytest.approx(0.3)
    assert present.reached(10.5) == 0
    assert present.now() == 10.0


class Inbox:
    """The far end of a direction: counts, and says when all is there."""

    def __init__(self, expected_bytes: int) -> None:
        self._left = expected_bytes
        self.complete = asyncio.Event()

    def arrived(self, items: list[Piece | Signal]) -> None:
        self._left -= sum(len(item) for item in items if not callable(item))
        if self._left <= 0:
            self.complete.set()

    def sent(self) -> None:
        """All is queued at once."""


class Chain:
    """Download, compute two seconds, upload: what a device does in a round."""

    def __init__(self, link: LinkParameters, own: bool) -> None:
        self.timer, self.meter = ManualTimer(100.0), FidelityMeter()
        self.present: Present | None = OwnPresent(self.timer) if own else None
        pair = LinkPair(link, link)
        self.links = DeviceLinks(pair, self.timer, self.meter, present=self.present)
        pace = Pace({"second": 1.0})
        at_once = self._at_once
        self.machine = EmulatedMachine(
            pace, at_once, self.timer, self.meter, FullSpeed(), self.present
        )

    @staticmethod
    async def _at_once(deadline_s, function, /, *args):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN205
        return function(*args)

    async def play(self) -> float:
        model, update = Inbox(500_000), Inbox(250_000)
        down, up = self.links.down.channel(model), self.links.up.channel(update)
        for _ in range(50):
            down.send(bytes(10_000))
        await model.complete.wait()
        await self.machine.run({"second": 2.0}, lambda: None)
        for _ in range(25):
            up.send(bytes(10_000))
        await update.complete.wait()
        return self.timer.now() - 100.0

    async def drive(self, late_s: float) -> float:
        playing = asyncio.create_task(self.play())
        while not playing.done():
            for _ in range(5):
                await asyncio.sleep(0)
            when_s = self.timer.next_s()
            if when_s < math.inf:
                self.timer.advance(when_s + late_s, late_s)
        return playing.result()


@pytest.mark.parametrize("late_s", [0.004, 0.05, 0.3, 1.5])
@pytest.mark.parametrize("kind", LINKS)
async def test_a_chain_is_late_by_its_last_link_alone(kind: str, late_s: float) -> None:
    exact_s = await Chain(LINKS[kind], own=True).drive(0.0)
    chain = Chain(LINKS[kind], own=True)
    longer_s = await chain.drive(late_s) - exact_s
    assert -1e-9 <= longer_s <= late_s + 0.001
    assert longer_s - 0.001 <= chain.meter.late_s <= 2 * late_s, "and it says so"
    strict = Chain(LINKS[kind], own=False)
    assert await strict.drive(late_s) - exact_s > longer_s + late_s


@pytest.mark.parametrize("kind", LINKS)
async def test_without_lateness_nothing_changes(kind: str) -> None:
    own, strict = Chain(LINKS[kind], own=True), Chain(LINKS[kind], own=False)
    assert await own.drive(0.0) == await strict.drive(0.0)
    assert own.meter.late_s == strict.meter.late_s == 0


async def test_a_device_measures_a_late_download_by_its_own_time() -> None:
    chain = Chain(LINKS["tcp"], own=True)
    assert chain.present is not None
    model = Inbox(500_000)
    down = chain.links.down.channel(model)
    for _ in range(50):
        down.send(bytes(10_000))
    while not model.complete.is_set():
        chain.timer.advance(chain.timer.next_s() + 0.2, 0.2)
    exact = Chain(LINKS["tcp"], own=True)
    theirs = Inbox(500_000)
    channel = exact.links.down.channel(theirs)
    for _ in range(50):
        channel.send(bytes(10_000))
    while not theirs.complete.is_set():
        exact.timer.advance(exact.timer.next_s())
    assert exact.timer.now() + 0.01 < chain.timer.now() <= exact.timer.now() + 0.2
    assert chain.present.now() == pytest.approx(exact.timer.now())
