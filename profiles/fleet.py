"""Fleet profiles: which devices take part, each behind which network, and the coordinator's own.

A fleet is expanded to one member per client. Knows nothing of rounds, strategies or stragglers.
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

MAX_MEMBERS = 100_000  # ten times the largest fleets simulated; a slip of the pen has more zeros


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


@dataclass(frozen=True, slots=True)
class Fleet:
    """All clients of a run. Without a `coordinator` the coordinator is not emulated."""

    name: str
    title: str
    members: tuple[Member, ...]
    coordinator: Site | None

    def to_mapping(self) -> dict[str, object]:
        """The fleet with the contents of every profile it uses, as plain values."""
        clients = [Site(member.device, member.network) for member in self.members]
        sites = {*clients, *([self.coordinator] if self.coordinator else [])}
        ordered = sorted(sites, key=lambda site: (site.device.name, site.network.name))
        resolved: dict[str, object] = {
            "name": self.name,
            "title": self.title,
            "devices": {site.device.name: site.device.to_mapping() for site in ordered},
            "networks": {site.network.name: site.network.to_mapping() for site in ordered},
            "members": [
                {"count": sum(1 for _ in group), **site.to_mapping()}
                for site, group in groupby(clients)
            ],
        }
        if self.coordinator:
            resolved["coordinator"] = self.coordinator.to_mapping()
        return resolved


def load_fleet(name_or_path: str, folder: Path | None = None) -> Fleet:
    """A shipped fleet by name, or the fleet of a TOML file (relative to `folder`).

    Its devices and networks are named likewise, their paths relative to the fleet's file.
    """
    path = locate(Kind.FLEET, name_or_path, folder or Path())
    return parse_fleet(path.stem, read_table(path), path.parent)


def parse_fleet(name: str, table: Table, folder: Path) -> Fleet:
    """The fleet described by a table whose paths are relative to `folder`."""
    table.allow(("title", "coordinator", "members"))
    sites = _Sites(
        lambda reference: load_device(reference, folder),
        lambda reference: load_network(reference, folder),
    )
    return _assemble(name, table, sites)


def fleet_from_mapping(mapping: Mapping[str, object], file: str) -> Fleet:
    """The inverse of `Fleet.to_mapping`; errors name `file` as the mapping's origin."""
    table = Table(file, "", mapping)
    table.allow(("name", "title", "devices", "networks", "coordinator", "members"))
    described = table.table("devices")
    devices = {name: parse_device(name, described.table(name)) for name in described.entries}
    described = table.table("networks")
    networks = {name: parse_network(name, described.table(name)) for name in described.entries}
    sites = _Sites(
        lambda name: _described(name, devices, "device"),
        lambda name: _described(name, networks, "network"),
    )
    return _assemble(table.text("name"), table, sites)


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
    devices: dict[str, Device] = field(default_factory=dict)
    networks: dict[str, Network] = field(default_factory=dict)

    def read(self, place: Table) -> Site:
        device = _resolve(place, "device", self.find_device, self.devices)
        return Site(device, _resolve(place, "network", self.find_network, self.networks))


def _resolve(
    place: Table, key: str, find: Callable[[str], _Profile], found: dict[str, _Profile]
) -> _Profile:
    try:
        profile = find(place.text(key))
    except UnknownProfile as error:
        raise place.error(key, error.rule) from None
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
    return Fleet(name, title, tuple(_members(table, sites)), coordinator)


def _members(table: Table, sites: _Sites) -> Iterable[Member]:
    members: list[Member] = []
    places: dict[Site, str] = {}
    for place in table.tables("members"):
        place.allow(("count", "device", "network"))
        count, site = place.count("count", MAX_MEMBERS), sites.read(place)
        if site in places:
            raise place.error("", f"repeats {places[site]}: raise its count instead")
        places[site] = place.key
        if len(members) + count > MAX_MEMBERS:
            raise table.error("members", f"must have at most {MAX_MEMBERS} clients in all")
        start = len(members)
        members += [Member(start + i, site.device, site.network) for i in range(count)]
    return members
