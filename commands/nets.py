"""Which kind of link the devices of this process get: shaped streams, or packets between network
namespaces."""

import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from commands.emulation import NewAccess, Site, links_of
from commands.errors import BadInput
from netem.device import LinkPair
from netem.fidelity import FidelityMeter
from netem.packet.access import PacketAccess, open_net
from netem.packet.errors import LinksUnavailable
from netem.packet.link import PacketLink, PacketLinkError
from netem.packet.net import PacketNet, PacketPair, PacketSettings
from profiles import Member

DEFAULT_CONGESTION = "cubic"
"""Where the network does not name one: Linux's own default."""
_IN_PACKETS = "only packet links do that (--net packet)"
_BEGINNING_S = 0.0
"""Of the links: from there on their traces go."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Net:
    """`rates_only` matters to kernel links."""

    kind: str = "stream"
    time_scale: float = 1.0
    rates_only: bool = False


@asynccontextmanager
async def accesses(
    net: Net, sites: Sequence[Site], url: str
) -> AsyncIterator[Sequence[NewAccess | None]]:
    """An access for each site to the coordinator at `url`; None: a stream link.

    Raises BadInput where this system does not let us have such links, LinksLost if they die.
    """
    check_playable(net, sites)
    if net.kind == "stream":
        yield [None] * len(sites)
        return
    links = opened(net, sites)
    if links.lacks is not None:
        print(f"{net.kind} links: {links.lacks}", file=sys.stderr, flush=True)
    parts = urlsplit(url)
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    async with open_net(links, parts.hostname or "", port):
        yield [_access_of(links, device) for device in range(len(sites))]


def check_playable(net: Net, sites: Iterable[Site | Member]) -> None:
    """Raises BadInput if such links cannot do what the sites ask for."""
    for site in sites:
        trace, network = site.trace, site.network
        if net.kind != "packet" and network.reordering is not None:
            raise BadInput(f"--net {net.kind}: network {network.name}: reordering: {_IN_PACKETS}")
        if net.kind == "kernel" and trace is not None and trace.drives_links:
            raise BadInput(f"--net kernel: tc follows no trace of a link: {_IN_PACKETS}")


def check_possible(net: Net, sites: Sequence[Site]) -> None:
    """Raises BadInput where this system does not let these sites have such links."""
    if net.kind != "stream":
        check_playable(net, sites)
        different = {site.network.name: site for site in sites}
        opened(net, list(different.values())).close()


def opened(net: Net, sites: Sequence[Site]) -> PacketNet:
    """The links of these sites. Raises BadInput where they cannot be had."""
    try:
        pairs = [pair_of(site, net.time_scale) for site in sites]
    except PacketLinkError as error:
        raise BadInput(f"--net {net.kind}: {error}") from error
    return opened_pairs(net, pairs, sites[0].seed if sites else 0)


def opened_pairs(net: Net, pairs: Sequence[PacketPair], seed: int) -> PacketNet:
    try:
        return PacketNet(pairs, PacketSettings(seed, net.kind, net.rates_only))
    except (LinksUnavailable, PacketLinkError) as error:
        raise BadInput(f"--net {net.kind}: {error}") from error


def pair_of(site: Site, time_scale: float) -> PacketPair:
    pair, reordering = (
        packet_pair(links_of(site, time_scale, _BEGINNING_S)),
        site.network.reordering,
    )
    if reordering is None:
        return pair
    share, delay_s = reordering.share, reordering.delay_s * time_scale
    up = replace(pair.up, reorder=share, reorder_s=delay_s)
    return replace(pair, up=up, down=replace(pair.down, reorder=share, reorder_s=delay_s))


def packet_pair(pair: LinkPair) -> PacketPair:
    congestion = pair.up.tcp.congestion_control if pair.up.tcp else DEFAULT_CONGESTION
    return PacketPair(PacketLink.of(pair.up), PacketLink.of(pair.down), congestion)


def _access_of(links: PacketNet, device: int) -> NewAccess:
    def access(meter: FidelityMeter) -> PacketAccess:
        return PacketAccess(links, device, meter)

    return access
