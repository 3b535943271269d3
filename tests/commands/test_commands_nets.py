"""Which fleets which kind of link can play, and what is made of a network's figures in packets."""

from dataclasses import replace

import pytest

from commands.emulation import Site
from commands.errors import BadInput
from commands.nets import Net, check_playable, pair_of
from netem.replay import DelayTrace, SteppedCapacity
from profiles import Network, PlayedTrace, load_device, load_network
from profiles.reordering import NetworkReordering
from profiles.trace import Intervals, Steps

REORDERING = NetworkReordering(0.02, 0.005)
RATE = Steps((0.0, 1.0), (1e6, 5e5), 2.0)
DELAY = Steps((0.0, 1.0), (0.02, 0.04), 2.0)
LINK = PlayedTrace(0.5, "loop", 1.0, up=RATE, up_delay_s=DELAY)
OTHER = PlayedTrace(0.0, "loop", 1.0, pace=RATE, available=Intervals(((0.0, 1.0),), 2.0))


def site(network: Network, trace: PlayedTrace | None = None) -> Site:
    return Site(load_device("pixel4"), network, 0, trace=trace)


PLAIN = load_network("4g-ghent")
DISORDERLY = replace(PLAIN, reordering=REORDERING)


@pytest.mark.parametrize(
    ("net", "asked", "rule"),
    [
        ("stream", site(DISORDERLY), "stream: network 4g-ghent: reordering: only packet links"),
        ("kernel", site(DISORDERLY), "kernel: network 4g-ghent: reordering: only packet links"),
        ("kernel", site(PLAIN, LINK), "tc follows no trace of a link: only packet links"),
    ],
)
def test_what_a_kind_of_link_cannot_play_is_refused(net: str, asked: Site, rule: str) -> None:
    with pytest.raises(BadInput, match=rule):
        check_playable(Net(net), [site(PLAIN), asked])


@pytest.mark.parametrize(
    ("net", "asked"),
    [("packet", site(DISORDERLY, LINK)), ("kernel", site(PLAIN, OTHER)), ("stream", site(PLAIN))],
)
def test_what_it_can_play_is_not(net: str, asked: Site) -> None:
    check_playable(Net(net), [asked])
    assert asked.trace is None or asked.trace.drives_links == (asked.trace is LINK)


def test_packet_links_get_the_figures_of_a_network_and_its_traces_stretched() -> None:
    pair = pair_of(site(DISORDERLY, LINK), time_scale=2.0)
    transport = PLAIN.transport
    for link in (pair.up, pair.down):
        assert (link.reorder, link.reorder_s) == (0.02, 0.010)
        assert link.loss == transport.loss
    assert pair.down.queue_bytes == pytest.approx(transport.queue_at(PLAIN.down_bytes_per_s))
    assert pair.up.queue_bytes == pytest.approx(transport.queue_at(7.5e5))
    assert isinstance(pair.up.varying, SteppedCapacity)
    assert pair.up.varying.playback.stretch == 2.0
    assert isinstance(pair.up.variation, DelayTrace)
    assert pair.up.delay_s == pytest.approx(0.06)
    assert pair.down.varying is None
    assert pair.congestion == transport.congestion_control
