"""Which kind of link the devices of this process get: shaped streams, or packets between network
namespaces."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from commands.emulation import NewAccess, Site, links_of
from commands.errors import BadInput
from netem.device import LinkPair
from netem.fidelity import FidelityMeter
from netem.link import LinkParameters
from netem.packet.access import PacketAccess, open_net
from netem.packet.errors import LinksUnavailable
from netem.packet.net import PacketNet, PacketPair, PacketSettings
from netem.packet.queue import PacketLink
from profiles import Member

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Net:
    """`congestion` matters where the kernel's TCP is emulated over, not where streams are."""

    kind: str = "stream"
    congestion: str = "cubic"
    time_scale: float = 1.0


@asynccontextmanager
async def accesses(
    net: Net, sites: Sequence[Site], url: str
) -> AsyncIterator[Sequence[NewAccess | None]]:
    """An access for each site to the coordinator at `url`; None: a stream link.

    Raises BadInput where this system does not let us have such links, LinksLost if they die.
    """
    if net.kind == "stream":
        yield [None] * len(sites)
        return
    check_playable(net, sites)
    pairs = [packet_pair(links_of(site, net.time_scale, 0.0)) for site in sites]
    links = _opened(net, pairs)
    parts = urlsplit(url)
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    async with open_net(links, parts.hostname or "", port):
        yield [_access_of(links, device) for device in range(len(sites))]


def check_playable(net: Net, sites: Iterable[Site | Member]) -> None:
    """Raises BadInput if such links cannot do what the sites ask for."""
    if net.kind != "stream" and any(site.trace is not None for site in sites):
        raise BadInput(f"--net {net.kind}: plays no traces yet, and the fleet's members have some")


def check_possible(net: Net) -> None:
    """Raises BadInput where this system does not let us have such links."""
    if net.kind == "stream":
        return
    _opened(net, ()).close()


def _opened(net: Net, pairs: Sequence[PacketPair]) -> PacketNet:
    try:
        return PacketNet(pairs, PacketSettings(net.congestion))
    except LinksUnavailable as error:
        raise BadInput(f"--net {net.kind}: {error}") from error


def packet_pair(pair: LinkPair) -> PacketPair:
    return PacketPair(_packet_link(pair.up), _packet_link(pair.down))


def _packet_link(link: LinkParameters) -> PacketLink:
    return PacketLink(link.bytes_per_s, link.delay_s)


def _access_of(links: PacketNet, device: int) -> NewAccess:
    def access(meter: FidelityMeter) -> PacketAccess:
        return PacketAccess(links, device, meter)

    return access
