"""Answers of a peer whose host is late: when they count as sent."""

import pytest

from netem.device import DeviceLinks, LinkPair
from netem.link import LinkParameters, wire_bytes
from netem.present import OwnPresent
from netem.shaper import BULK_BYTES
from netem.socket_side import SocketSide
from netem.tcp.parameters import TcpParameters
from netem.timer import ManualTimer
from tests.netem.shaper_rig import DELAY_S, RATE, Application, Socket

ASKED_S = 100.0 + wire_bytes(100) / RATE + DELAY_S
"""When a request of 100 bytes has come, of a device that asks at 100 s."""


def exchange(
    request: int, late_s: float, *, tcp: TcpParameters | None = None, unasked: bool = False
) -> tuple[DeviceLinks, Application, OwnPresent]:
    """A request at 100 s, answered by 1,000 bytes so long after it came."""
    timer = ManualTimer(100.0)
    present = OwnPresent(timer)
    one = LinkParameters(RATE, DELAY_S, tcp=tcp)
    links = DeviceLinks(LinkPair(one, one), timer, present=present)
    app, sock = Application(timer), Socket(timer)
    sock.side = SocketSide(app, links)
    sock.side.connection_made(sock)
    if unasked:
        sock.side.transport.get_extra_info("speaks_unasked")()
    sock.side.transport.write(bytes(request))
    while len(sock.written) < request:
        timer.advance(timer.now() + 0.001)
    timer.advance(timer.now() + late_s)
    sock.side.data_received(bytes(1000))
    while len(app.received) < 1000:
        timer.advance(timer.now() + 0.001)
    return links, app, present


@pytest.mark.parametrize("tcp", [None, TcpParameters("cubic", queue_bytes=100_000)])
async def test_a_late_answer_counts_as_sent_in_time(tcp: TcpParameters | None) -> None:
    in_time = exchange(100, 0.0, tcp=tcp)[2].now()
    late = exchange(100, 0.5, tcp=tcp)[2].now()
    assert late == pytest.approx(in_time, abs=0.003)
    assert in_time == pytest.approx(ASKED_S + wire_bytes(1000) / RATE + DELAY_S, abs=0.003)


async def test_what_is_said_unasked_counts_when_it_is_said() -> None:
    late = exchange(100, 0.5, unasked=True)[2].now()
    assert late == pytest.approx(ASKED_S + 0.5 + wire_bytes(1000) / RATE + DELAY_S, abs=0.003)


async def test_being_late_to_take_in_what_others_wait_for_holds_them_up() -> None:
    """As much of a small request is made up for by the device; nobody else waits for it."""
    assert exchange(100, 0.5)[0].meter.late_s == pytest.approx(0.0, abs=0.003)
    assert exchange(BULK_BYTES, 0.5)[0].meter.late_s == pytest.approx(0.5, abs=0.003)
