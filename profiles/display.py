"""Profiles as text for people: every figure with its unit and source, assumptions marked."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from profiles.catalogue import Kind, UnknownProfile, list_profiles, locate
from profiles.device import Device, parse_device
from profiles.document import read_table
from profiles.errors import WHOLE_FILE, ProfileError, near
from profiles.fleet import Fleet, parse_fleet
from profiles.kernel import Kernels, parse_kernels
from profiles.network import Network, parse_network
from profiles.population import Population
from profiles.quantity import Quantity, Standing

Profile = Device | Network | Fleet | Kernels

_MARKS = {Standing.CITED: " ", Standing.DERIVED: "~", Standing.ASSUMED: "?"}
_LEGEND = "~ derived   ? assumed   (otherwise cited)"


def load_profile(name_or_path: str) -> Profile:
    """The profile of any kind: by a shipped name, or a TOML file told apart by its keys."""
    path = _find(name_or_path)
    table = read_table(path)
    if "members" in table.entries or "population" in table.entries:
        return parse_fleet(path.stem, table, path.parent)
    if "training_rate" in table.entries:
        return parse_device(path.stem, table)
    if "down" in table.entries:
        return parse_network(path.stem, table)
    if "layers" in table.entries:
        return parse_kernels(path.stem, table)
    kinds = (
        "members or population (a fleet), training_rate (a device), down (a network)"
        " or layers (kernels)"
    )
    rule = f"is no profile: needs {kinds}"
    raise ProfileError(str(path), WHOLE_FILE, rule)


def _find(reference: str) -> Path:
    for kind in Kind:
        try:
            return locate(kind, reference, Path())
        except UnknownProfile:
            continue
    names = [name for kind in Kind for name in list_profiles(kind)]
    rule = f"no shipped profile is named {reference!r}; {near(reference, names)}"
    raise UnknownProfile(reference, "profile", rule)


def show(profile: Profile) -> str:
    """Several lines of text: what the profile holds and where each figure is from."""
    head = [f"{profile.name}: {profile.title}"]
    if isinstance(profile, Fleet):
        return "\n".join(head + _fleet_lines(profile))
    if isinstance(profile, Kernels):
        return "\n".join(head + _kernel_lines(profile))
    if isinstance(profile, Device):
        head.append(f"training rate calibrated for: {profile.anchor}")
    return "\n".join([*head, *_figure_lines(profile.quantities), _LEGEND])


def _kernel_lines(kernels: Kernels) -> list[str]:
    lines = [f"layers of {kernels.task}; {kernels.passes} pass; {kernels.conditions}"]
    for kind, curve in kernels.layers.items():
        points = zip(curve.zeros, curve.relative_time, strict=True)
        told = ", ".join(f"{zeros:.4g}: {time:.3g}" for zeros, time in points)
        lines += [f"  {kind:<12}time over dense, by share of zeros: {told}", f"  {curve.source}"]
    return lines


def _figure_lines(quantities: Mapping[str, Quantity]) -> list[str]:
    return [
        f"{_MARKS[quantity.standing]} {key:<21}{quantity.text:>16}   {quantity.source}"
        for key, quantity in quantities.items()
    ]


def _fleet_lines(fleet: Fleet) -> list[str]:
    lines = [f"{len(fleet.members)} clients"]
    if fleet.population is None:
        sites = Counter((member.device, member.network) for member in fleet.members)
        for (device, network), count in sites.items():
            lines.append(f"{count:>6} × {device.name:<20}{_link(network)}")
        profiles = {profile for site in sites for profile in site}
    else:
        lines += _population_lines(fleet.population)
        mixes = fleet.population.devices, fleet.population.networks
        profiles = {profile for mix in mixes for profile, _ in mix.choices}
    if traced := [str(member.index) for member in fleet.members if member.trace is not None]:
        lines.append(f"clients that play traces: {', '.join(traced)}")
    if fleet.coordinator:
        site = fleet.coordinator
        lines.append(f"coordinator {site.device.name:<17}{_link(site.network)}")
    else:
        lines.append("coordinator not emulated")
    for access in fleet.shared:
        down, up = (access.quantities[key].text for key in ("down", "up"))
        lines.append(f"{len(access.members):>6} share {access.name}: {down} down, {up} up")
    lines.append(_standings(profiles))
    return lines


def _population_lines(population: Population) -> list[str]:
    lines = [f"drawn with seed {population.seed}; digest {population.digest()[:16]}…"]
    drawn = list(population.members())
    devices = Counter(member.device for member in drawn)
    networks = Counter(member.network for member in drawn)
    for device, _ in population.devices.choices:
        lines.append(f"{devices[device]:>6} × {device.name}")
    lines.append(f"       {population.devices.source}")
    for network, _ in population.networks.choices:
        lines.append(f"{networks[network]:>6} × {_link(network)}")
    lines.append(f"       {population.networks.source}")
    lines += _figure_lines({f"spread of {k}": q for k, q in population.spread.items()})
    if population.availability is not None:
        lines += _figure_lines({"availability": population.availability})
    return lines


def _link(network: Network) -> str:
    down, up, rtt = (network.quantities[key].text for key in ("down", "up", "rtt"))
    return f"{network.name:<18}{down} down, {up} up, {rtt} round trip"


def _standings(profiles: set[Device | Network]) -> str:
    counts = Counter(q.standing for profile in profiles for q in profile.quantities.values())
    parts = ", ".join(f"{counts[standing]} {standing}" for standing in Standing)
    return f"figures behind the clients: {parts}"
