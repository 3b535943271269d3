"""Fleet profiles: which devices take part, each behind which network, and the coordinator's own.

A fleet is expanded to one member per client, listed or drawn from a population. Knows nothing of
rounds, strategies or stragglers.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from profiles.catalogue import Kind, UnknownProfile, locate
from profiles.device import Device, load_device, parse_device
from profiles.document import Table, read_table
from profiles.errors import near
from profiles.network import Network, load_network, parse_network
from profiles.played import PlayedTrace, TraceChoice, parse_trace_choice
from profiles.population import MAX_MEMBERS, Population, parse_population
from profiles.shared import SharedAccess, parse_shared
from profiles.slowed import KEYS as SLOWER
from profiles.slowed import slowed


@dataclass(frozen=True, slots=True)
class Site:
    """A device behind its network."""

    device: Device
    network: Network

    def to_mapping(self) -> dict[str, object]:
        """Its names; the contents stand elsewhere in the fleet's mapping."""
        return {"device": self.device.name, "network": self.network.name}


@dataclass(frozen=True, slots=True)
class Member:
    """One client of the fleet; `index` counts from 0 in the order of the file."""

    index: int
    device: Device
    network: Network
    trace: PlayedTrace | None = None
    """What changes over time; without it everything is as the profiles say."""
    chosen: TraceChoice | None = field(default=None, repr=False)
    """The traces of its entry, of which `trace` is this member's."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """All clients of a run. Without a `coordinator` the coordinator is not emulated."""

    name: str
    title: str
    members: tuple[Member, ...]
    coordinator: Site | None
    population: Population | None = None
    """What the members were drawn from, if they were."""
    shared: tuple[SharedAccess, ...] = ()
    """Links that several members share, beyond their own."""

    def to_mapping(self) -> dict[str, object]:
        """The fleet with the contents of every profile it uses, as plain values. A population
        stands for its members, with the digest of those drawn."""
        devices, networks = self._profiles()
        resolved: dict[str, object] = {
            "name": self.name,
            "title": self.title,
            "devices": {name: devices[name].to_mapping() for name in sorted(devices)},
            "networks": {name: networks[name].to_mapping() for name in sorted(networks)},
        }
        if self.population is not None:
            resolved["population"] = self.population.to_mapping()
            resolved["digest"] = self.population.digest()
        else:
            entries = groupby(self.members, lambda m: (Site(m.device, m.network), m.chosen))
            resolved["members"] = [
                {"count": sum(1 for _ in group), **site.to_mapping()}
                | ({} if chosen is None else {"trace": dict(chosen.table)})
                for (site, chosen), group in entries
            ]
        if self.coordinator:
            resolved["coordinator"] = self.coordinator.to_mapping()
        if self.shared:
            resolved["shared"] = [access.to_mapping() for access in self.shared]
        return resolved

    def _profiles(self) -> tuple[dict[str, Device], dict[str, Network]]:
        """By name; of a population those that it draws from."""
        if self.population is not None:
            devices = [device for device, _ in self.population.devices.choices]
            networks = [network for network, _ in self.population.networks.choices]
        else:
            devices = [member.device for member in self.members]
            networks = [member.network for member in self.members]
        if self.coordinator:
            devices.append(self.coordinator.device)
            networks.append(self.coordinator.network)
        return {d.name: d for d in devices}, {n.name: n for n in networks}


def load_fleet(name_or_path: str, folder: Path | None = None) -> Fleet:
    """A shipped fleet by name, or the fleet of a TOML file (relative to `folder`).

    Its devices and networks are named likewise, their paths relative to the fleet's file.
    """
    path = locate(Kind.FLEET, name_or_path, folder or Path())
    return parse_fleet(path.stem, read_table(path), path.parent)


def parse_fleet(name: str, table: Table, folder: Path) -> Fleet:
    """The fleet described by a table whose paths are relative to `folder`."""
    table.allow(("title", "coordinator", "members", "population", "shared"))
    sites = _Sites(
        lambda reference: load_device(reference, folder),
        lambda reference: load_network(reference, folder),
        folder,
    )
    return _assemble(name, table, sites)


def fleet_from_mapping(mapping: Mapping[str, object], file: str) -> Fleet:
    """The inverse of `Fleet.to_mapping`; errors name `file` as the mapping's origin."""
    table = Table(file, "", mapping)
    known = ("name", "title", "devices", "networks", "coordinator")
    table.allow((*known, "members", "population", "digest", "shared"))
    described = table.table("devices")
    devices = {name: parse_device(name, described.table(name)) for name in described.entries}
    described = table.table("networks")
    networks = {name: parse_network(name, described.table(name)) for name in described.entries}
    sites = _Sites(
        lambda name: _described(name, devices, "device"),
        lambda name: _described(name, networks, "network"),
    )
    fleet = _assemble(table.text("name"), table, sites)
    if fleet.population is not None and fleet.population.digest() != table.text("digest"):
        raise table.error("digest", "the description does not give the members that were recorded")
    return fleet


_Profile = TypeVar("_Profile", Device, Network)


def _described(name: str, profiles: Mapping[str, _Profile], what: str) -> _Profile:
    if name not in profiles:
        rule = f"no {what} named {name!r} is described here; {near(name, profiles)}"
        raise UnknownProfile(name, what, rule)
    return profiles[name]


@dataclass(frozen=True, slots=True)
class _Sites:
    """Reads the sites of one fleet; its profiles must have distinct names."""

    find_device: Callable[[str], Device]
    find_network: Callable[[str], Network]
    folder: Path = field(default_factory=Path)
    """Where traces are looked for; they are not described in a mapping, but named with a digest."""
    devices: dict[str, Device] = field(default_factory=dict)
    networks: dict[str, Network] = field(default_factory=dict)

    def read(self, place: Table) -> Site:
        device, network = slowed(self.device(place), self.network(place), place)
        _known(place, "device", device, self.devices)
        _known(place, "network", network, self.networks)
        return Site(device, network)

    def device(self, place: Table) -> Device:
        return _resolve(place, "device", self.find_device, self.devices)

    def network(self, place: Table) -> Network:
        return _resolve(place, "network", self.find_network, self.networks)


def _resolve(
    place: Table, key: str, find: Callable[[str], _Profile], found: dict[str, _Profile]
) -> _Profile:
    try:
        profile = find(place.text(key))
    except UnknownProfile as error:
        raise place.error(key, error.rule) from None
    return _known(place, key, profile, found)


def _known(place: Table, key: str, profile: _Profile, found: dict[str, _Profile]) -> _Profile:
    """Of several profiles that are equal the first; several of one name are an error."""
    if found.setdefault(profile.name, profile) != profile:
        raise place.error(key, f"another {key} of this fleet is named {profile.name!r} as well")
    return found[profile.name]


def _assemble(name: str, table: Table, sites: _Sites) -> Fleet:
    title = table.text("title")
    coordinator = None
    if "coordinator" in table.entries:
        place = table.table("coordinator")
        place.allow(("device", "network"))
        coordinator = sites.read(place)
    if "population" not in table.entries:
        listed = tuple(_members(table, sites))
        return Fleet(name, title, listed, coordinator, shared=parse_shared(table, len(listed)))
    if "members" in table.entries:
        raise table.error("population", "stands for the members: have one or the other")
    population = parse_population(table.table("population"), sites.device, sites.network)
    members = (drawn.as_profiles() for drawn in population.members())
    numbered = tuple(Member(index, *profiles) for index, profiles in enumerate(members))
    shared = parse_shared(table, len(numbered))
    return Fleet(name, title, numbered, coordinator, population, shared)


def _members(table: Table, sites: _Sites) -> Iterable[Member]:
    members: list[Member] = []
    places: dict[tuple[Site, TraceChoice | None], str] = {}
    for place in table.tables("members"):
        place.allow(("count", "device", "network", "trace", *SLOWER))
        count, site = place.count("count", MAX_MEMBERS), sites.read(place)
        chosen = None
        if "trace" in place.entries:
            chosen = parse_trace_choice(place.table("trace"), sites.folder)
        if (site, chosen) in places:
            raise place.error("", f"repeats {places[site, chosen]}: raise its count instead")
        places[site, chosen] = place.key
        if len(members) + count > MAX_MEMBERS:
            raise table.error("members", f"must have at most {MAX_MEMBERS} clients in all")
        for each in range(count):
            trace = None if chosen is None else chosen.of(each)
            members.append(Member(len(members), site.device, site.network, trace, chosen))
    return members
