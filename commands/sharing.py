"""The links that devices of a fleet share: those of its `[[shared]]` tables, and the coordinator's.

All devices on a shared link take turns on it, so one event loop must play them all; where workers
run elsewhere that is refused.
"""

from dataclasses import dataclass, replace

from commands.emulation import NewAccess, Site, links_of
from commands.errors import BadInput
from commands.settings import RunSettings
from netem.access import StreamAccess
from netem.channel import Parcel
from netem.device import Crossings, LinkPair
from netem.junction import Crossing, SharedLinks
from netem.shared import SharedWire
from netem.timer import Timer
from profiles import Fleet, SharedAccess

MOST_AT_COORDINATOR = 100
"""Clients whose turns at the coordinator's link are worked out unless asked for: what that takes
grows with how many transfer at once."""


@dataclass(frozen=True, slots=True)
class SharedNetwork:
    """What each member shares with others."""

    up: SharedLinks[Parcel]
    down: SharedLinks[Parcel]
    wires: tuple[tuple[frozenset[int], SharedWire, SharedWire], ...]
    """(members, up, down) of each shared link."""
    delay_s: float
    """One way, of the coordinator's own access."""

    def crossings(self, member: int) -> Crossings:
        mine = [(up, down) for members, up, down in self.wires if member in members]
        if not mine:
            return None, None
        up, down = zip(*mine, strict=True)
        return Crossing(self.up, tuple(up)), Crossing(self.down, tuple(down))

    def lengthened(self, pair: LinkPair) -> LinkPair:
        """The way to the coordinator includes its own access."""
        up, down = pair.up, pair.down
        return LinkPair(
            replace(up, delay_s=up.delay_s + self.delay_s),
            replace(down, delay_s=down.delay_s + self.delay_s),
        )


def at_coordinator(settings: RunSettings, fleet: Fleet, together: bool) -> bool:
    """Whether the coordinator's own link is emulated. Raises BadInput where it cannot be, or
    where other shared links could not. `together`: one event loop plays the whole fleet."""
    if fleet.shared and not together:
        raise BadInput(
            f"profile: {fleet.name}: shared: devices that share a link must be played together: "
            "by `run` with placement=tasks and net=stream"
        )
    if settings.coordinator == "host" or fleet.coordinator is None:
        if settings.coordinator == "emulated":
            raise BadInput(f"coordinator: emulated: fleet {fleet.name} has no [coordinator]")
        return False
    if settings.coordinator == "emulated":
        if not together:
            raise BadInput("coordinator: emulated: needs `run` with placement=tasks and net=stream")
        return True
    return together and len(fleet.members) <= MOST_AT_COORDINATOR


def shared_network(
    fleet: Fleet, timer: Timer, time_scale: float, coordinator: bool
) -> SharedNetwork:
    """`coordinator`: with its own link. What it sends is what the devices receive."""
    wires = [_wires(access, time_scale) for access in fleet.shared]
    delay_s = 0.0
    if coordinator and fleet.coordinator is not None:
        network = fleet.coordinator.network
        everybody = frozenset(member.index for member in fleet.members)
        received = SharedWire(network.down_bytes_per_s / time_scale)
        sent = SharedWire(network.up_bytes_per_s / time_scale)
        wires.append((everybody, received, sent))
        delay_s = network.rtt_s / 2 * time_scale
    return SharedNetwork(SharedLinks(timer), SharedLinks(timer), tuple(wires), delay_s)


def joint(site: Site, network: SharedNetwork, timer: Timer, time_scale: float) -> NewAccess | None:
    """A stream link whose way leads over what the fleet shares; None: nothing is."""
    crossings = network.crossings(site.member or 0)
    if crossings == (None, None):
        return None
    pair = network.lengthened(links_of(site, time_scale, timer.now()))
    return lambda meter: StreamAccess(pair, timer, meter, crossings)


def _wires(
    access: SharedAccess, time_scale: float
) -> tuple[frozenset[int], SharedWire, SharedWire]:
    up = SharedWire(access.up_bytes_per_s / time_scale)
    return frozenset(access.members), up, SharedWire(access.down_bytes_per_s / time_scale)
