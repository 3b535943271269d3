"""Who plays a fleet's links for verify's round: as a run's would be, what they share included."""

from collections.abc import Callable, Sequence

from commands.emulation import NewAccess, Site, links_of
from commands.sharing import MOST_AT_COORDINATOR, SharedNetwork, joint, shared_network
from commands.verification.measuring import NewMetered, is_steady
from commands.verification.one_round import Playing
from commands.verification.prediction import Traveller
from netem.access import Access
from netem.fidelity import FidelityMeter
from netem.packet.access import PacketAccess
from netem.timer import Timer
from profiles import Fleet


def traced(fleet: Fleet) -> list[Site]:
    """The devices that play traces."""
    return [
        Site(m.device, m.network, m.index, trace=m.trace)
        for m in fleet.members
        if m.trace is not None
    ]


def playing(
    fleet: Fleet, sites: Sequence[Site], means: tuple[str, Timer], new: NewMetered
) -> Playing:
    """Over stream links the coordinator's own access is crossed, as in a run."""
    net, timer = means
    coordinator = fleet.coordinator is not None and len(sites) <= MOST_AT_COORDINATOR

    def network(timer: Timer) -> SharedNetwork:
        return shared_network(fleet, timer, 1.0, coordinator)

    def travellers(timer: Timer) -> list[Traveller]:
        if net != "stream":
            return [(links_of(site, 1.0, 0.0), (None, None)) for site in sites]
        shared = network(timer)
        return [_traveller(site, shared) for site in sites]

    def separate(site: Site) -> NewAccess:
        return lambda meter: new(site, meter)

    accesses = [separate(site) for site in sites]
    if net == "stream":
        shared = network(timer)
        joints = [joint(site, shared, timer, 1.0) for site in sites]
        accesses = [j or own for j, own in zip(joints, accesses, strict=True)]
    sharing = {client for shared in fleet.shared for client in shared.members}
    by_chance = {n for n, site in enumerate(sites) if not is_steady(site)}
    busy_s = _busy_of(accesses[0](FidelityMeter()))
    return Playing(accesses, travellers, busy_s, frozenset(sharing | by_chance))


def _traveller(site: Site, shared: SharedNetwork) -> Traveller:
    pair, crossings = links_of(site, 1.0, 0.0), shared.crossings(site.member or 0)
    return (pair, crossings) if crossings == (None, None) else (shared.lengthened(pair), crossings)


def _busy_of(access: Access) -> Callable[[], float]:
    """Processor seconds of the process that plays packet links."""
    if isinstance(access, PacketAccess):
        return access.net.processor_s
    return lambda: 0.0
