"""Links between real network namespaces with the kernel's TCP at both ends; skipped where the
system does not let us have them, saying why."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from netem.fidelity import FidelityMeter
from netem.packet.addresses import HUB, device_address, device_at
from netem.packet.errors import LinksLost, LinksUnavailable
from netem.packet.link import PacketLink
from netem.packet.net import PacketNet, PacketPair, PacketSettings
from tests.netem.namespaces import check_killed_without_trace, need_namespaces

RATE = 2.5e6
UP = PacketLink(RATE, 0.01)
DOWN = PacketLink(2 * RATE, 0.03)
PAIR = PacketPair(UP, DOWN, "reno")


@pytest.fixture(scope="module", params=[False, True], ids=["as-we-are", "user-namespace"])
def net(request: pytest.FixtureRequest) -> Iterator[PacketNet]:
    need_namespaces(request.param)
    settings = PacketSettings(user_namespace=request.param)
    with PacketNet([PAIR, PAIR], settings) as opened:
        opened.listeners[0].settimeout(20)
        yield opened


def connected(net: PacketNet, device: int) -> tuple[socket.socket, socket.socket, float]:
    """The device's end, the hub's, and the seconds it took."""
    ours = net.socket(device)
    ours.settimeout(20)
    start_s = os.times().elapsed
    ours.connect((HUB, net.port(device)))
    took_s = os.times().elapsed - start_s
    theirs, address = net.listeners[0].accept()
    theirs.settimeout(20)
    assert address[0] == device_address(device)
    assert device_at(address[0]) == device
    return ours, theirs, took_s


def pour(sender: socket.socket, receiver: socket.socket, count: int) -> float:
    """Seconds that so many bytes take."""
    start_s, got = os.times().elapsed, 0
    sending = threading.Thread(target=sender.sendall, args=(bytes(count),))
    sending.start()
    while got < count:
        got += len(receiver.recv(1 << 18))
    sending.join()
    return os.times().elapsed - start_s


def test_a_connection_takes_the_round_trip_and_bytes_the_rate(net: PacketNet) -> None:
    ours, theirs, took_s = connected(net, 1)
    with ours, theirs:
        assert took_s >= 0.0399  # the clock of times(2) ticks in hundredths
        before = net.gauges.passed(1)
        count = 200_000
        wire = count * 1514 / 1448
        assert pour(ours, theirs, count) >= wire / RATE + 0.01 - 0.02
        between = net.gauges.passed(1)
        assert between[0] - before[0] >= wire
        assert pour(theirs, ours, count) >= wire / (2 * RATE) + 0.03 - 0.02
        after = net.gauges.passed(1)
        assert wire <= after[1] - between[1] < 1.2 * wire
        assert 0 < after[0] - between[0] < 0.2 * wire  # acknowledgements


def test_both_ends_use_the_congestion_control_asked_for(net: PacketNet) -> None:
    ours, theirs, _ = connected(net, 0)
    with ours, theirs:
        for end in (ours, theirs):
            name = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
            assert name.rstrip(b"\0") == b"reno"


def test_nobody_outside_sees_the_namespaces(net: PacketNet) -> None:
    assert "uplink" not in Path("/proc/net/dev").read_text()
    with socket.socket() as outside:
        outside.settimeout(0.2)
        assert outside.connect_ex((HUB, net.port(0))) != 0


def test_lateness_is_measured_from_where_it_is_told(net: PacketNet) -> None:
    ours, theirs, _ = connected(net, 0)
    with ours, theirs:
        pour(ours, theirs, 300_000)
    meter = FidelityMeter()
    meter.add_links(net.fidelity(0))
    measured = meter.measured()
    assert measured.lateness_ms_p50 is not None
    assert sum(count for _, count in meter.lateness_ms()) > 300
    net.restart(0)
    meter = FidelityMeter()
    meter.add_links(net.fidelity(0))
    assert sum(count for _, count in meter.lateness_ms()) < 20


def test_a_congestion_control_that_the_kernel_lacks_is_refused() -> None:
    need_namespaces()
    with pytest.raises(LinksUnavailable, match="congestion control nonesuch: "):
        PacketNet([PacketPair(UP, DOWN, "nonesuch")], PacketSettings())


def test_losing_the_process_that_plays_them_is_told() -> None:
    need_namespaces()
    with PacketNet([PAIR], PacketSettings()) as net:
        os.kill(net.pid, signal.SIGKILL)
        with pytest.raises(LinksLost, match="gone"):
            net.socket(0)
    assert not Path(f"/proc/{net.pid}").exists()


def test_the_process_ends_with_its_line() -> None:
    need_namespaces()
    with PacketNet([PAIR], PacketSettings()) as net:
        assert Path(f"/proc/{net.pid}").exists()
    assert not Path(f"/proc/{net.pid}").exists()


HOLDING = """
from netem.packet.net import PacketNet, PacketPair, PacketSettings
from netem.packet.link import PacketLink
link = PacketLink(1e6, 0.01)
net = PacketNet([PacketPair(link, link)] * 2, PacketSettings(user_namespace={user_namespace}))
held = net.socket(0)
print("ready", flush=True)
input()
"""


@pytest.mark.parametrize("user_namespace", [False, True])
def test_nothing_is_left_of_a_killed_testbed(user_namespace: bool) -> None:
    need_namespaces(user_namespace)
    program = HOLDING.format(user_namespace=user_namespace)
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as testbed:
        assert testbed.stdout is not None
        assert testbed.stdout.readline() == b"ready\n"
        check_killed_without_trace(testbed.pid, namespaces=3)


def test_datagrams_cross_the_link_both_ways(net: PacketNet) -> None:
    ours, theirs = net.datagrams(1)
    with ours, theirs:
        for sender, receiver in ((ours, theirs), (theirs, ours)):
            receiver.settimeout(20)
            start_s = os.times().elapsed
            sender.send(b"counted")
            assert receiver.recv(100) == b"counted"
            assert os.times().elapsed - start_s >= (0.01 if sender is ours else 0.03) - 0.011
