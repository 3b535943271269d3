"""Links that the kernel plays: what tc is told, and what comes of it where there is a tc."""

import os
import shutil
import socket
import threading
from collections.abc import Sequence

import pytest

from netem.jitter import Jitter
from netem.packet.addresses import HUB
from netem.packet.errors import LinksUnavailable
from netem.packet.link import PacketLink
from netem.packet.net import PacketNet, PacketPair, PacketSettings
from netem.packet.traffic_control import commands, needs_netem
from netem.playback import Playback
from netem.replay import DelayTrace, SteppedCapacity
from profiles.trace import Steps
from tests.netem.namespaces import need_namespaces

RATE = 2.5e6
TBF = "qdisc add dev x {place} tbf rate 20000000bit burst 6056b limit {limit}b"
TOLD: list[tuple[PacketLink, bool, list[str]]] = [
    (PacketLink(RATE, 0.0), False, [TBF.format(place="root", limit=250000)]),
    (PacketLink(RATE, 0.2), False, [TBF.format(place="root", limit=1000000)]),
    (
        PacketLink(RATE, 0.025, loss=0.01),
        True,
        [
            "qdisc add dev x root handle 1: netem limit 4125 delay 25000us loss 1.000000%",
            TBF.format(place="parent 1:1 handle 10:", limit=250000),
        ],
    ),
    (
        PacketLink(RATE, 0.05, variation=Jitter(0.005, 0.1, "pareto")),
        True,
        [
            "qdisc add dev x root handle 1: netem limit 4750 delay 50000us 5000us"
            " distribution pareto",
            TBF.format(place="parent 1:1 handle 10:", limit=250000),
        ],
    ),
]


@pytest.mark.parametrize(("link", "netem", "told"), TOLD)
def test_tc_is_told_what_the_link_is(link: PacketLink, netem: bool, told: list[str]) -> None:
    assert [" ".join(words) for words in commands("x", link, netem)] == told
    assert needs_netem(link) == netem or link.delay_s == 0.2


def need_tc(user_namespace: bool = False) -> None:
    need_namespaces(user_namespace)
    if shutil.which("tc") is None:
        pytest.skip("tc is not installed")


def opened(
    links: Sequence[PacketLink], user_namespace: bool = False, rates_only: bool = False
) -> PacketNet:
    settings = PacketSettings(0, "kernel", rates_only, user_namespace)
    return PacketNet([PacketPair(link, link) for link in links], settings)


@pytest.mark.parametrize("user_namespace", [False, True])
def test_the_kernel_shapes_and_counts_each_way(user_namespace: bool) -> None:
    need_tc(user_namespace)
    slow, fast = PacketLink(RATE, 0.0), PacketLink(2 * RATE, 0.0)
    settings = PacketSettings(0, "kernel", user_namespace=user_namespace)
    with PacketNet([PacketPair(fast, fast), PacketPair(slow, fast)], settings) as net:
        with net.socket(1) as ours:
            ours.connect((HUB, net.port(1)))
            theirs, _ = net.listeners[0].accept()
            with theirs:
                count = 400_000
                wire = count * 1514 / 1448
                assert poured(ours, theirs, count) >= (wire - 6056) / RATE - 0.02
                up, down = net.gauges.passed(1)
                assert wire <= up < 1.05 * wire
                assert 0 < down < 0.1 * wire
                assert poured(theirs, ours, count) >= (wire - 6056) / (2 * RATE) - 0.02
                assert net.gauges.passed(1)[1] - down >= wire
        assert net.gauges.passed(0) == (0, 0)
        assert net.fidelity(1) == {}
        assert net.lacks is None


def poured(sender: socket.socket, receiver: socket.socket, count: int) -> float:
    """Seconds that so many bytes take."""
    start_s, got = os.times().elapsed, 0
    sending = threading.Thread(target=sender.sendall, args=(bytes(count),))
    sending.start()
    while got < count:
        got += len(receiver.recv(1 << 18))
    sending.join()
    return os.times().elapsed - start_s


def test_what_the_kernel_lacks_is_refused_or_left_out_as_told() -> None:
    need_tc()
    link = PacketLink(RATE, 0.01)
    with opened([link], rates_only=True) as net:
        lacks = net.lacks
    if lacks is None:
        with opened([link]) as net, net.socket(0) as ours:
            start_s = os.times().elapsed
            ours.connect((HUB, net.port(0)))
            assert os.times().elapsed - start_s >= 0.0199 - 0.01
        return
    assert lacks.startswith("rates alone: this kernel has no netem")
    with pytest.raises(LinksUnavailable, match="no netem: it gives rates, but no delay, jitter"):
        opened([link])


NOT_FOR_TC = [
    PacketLink(RATE, 0.0, varying=SteppedCapacity(Steps.constant(RATE, 1.0), Playback(0.0))),
    PacketLink(RATE, 0.1, variation=Jitter(0.005, 0.1, "gamma")),
    PacketLink(RATE, 0.1, variation=DelayTrace(Steps.constant(0.1, 1.0), Playback(0.0))),
    PacketLink(RATE, 0.1, reorder=0.1, reorder_s=0.01),
]


@pytest.mark.parametrize("link", NOT_FOR_TC)
def test_what_tc_cannot_do_is_refused(link: PacketLink) -> None:
    need_tc()
    with pytest.raises(LinksUnavailable, match="packet links "):
        opened([link], rates_only=True)
