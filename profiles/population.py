"""Populations: a fleet of any size drawn from a mix of devices and networks.

A member is drawn from its index and the population's seed alone, so that a larger population of
the same mix begins with the smaller one, and the description stands for the members. Knows nothing
of who takes part in which round.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b, sha256
from itertools import accumulate
from statistics import NormalDist
from types import MappingProxyType
from typing import Generic, TypeVar

from profiles.device import Device
from profiles.document import Table
from profiles.network import Network
from profiles.quantity import Dimension, Quantity

MAX_MEMBERS = 100_000  # ten times the largest fleets simulated; a slip of the pen has more zeros
MAX_WEIGHT = 1_000_000
MAX_SEED = 2**63 - 1
WIDEST = 3.0
"""Standard deviations of a factor's logarithm at which the log-normal is cut off, so that no member
of a large population is absurd (our choice; 0.3 % of an uncut one lie beyond)."""

_LABEL = "straggler-testbed/v1/population"
_SPREADS = ("compute", "rate", "rtt")
_FACTOR_DIGITS = 6  # what the last bits of another machine's logarithm cannot change

_Profile = TypeVar("_Profile", Device, Network)


@dataclass(frozen=True, slots=True)
class Mix(Generic[_Profile]):
    """Profiles and the weight of each; `source` says where the weights are from."""

    choices: tuple[tuple[_Profile, int], ...]
    source: str

    def pick(self, uniform: float) -> _Profile:
        edges = list(accumulate(weight for _, weight in self.choices))
        return self.choices[bisect_right(edges, uniform * edges[-1])][0]


@dataclass(frozen=True, slots=True)
class Drawn:
    """What one member is; factors multiply its times (compute, rtt) and its rates (rate)."""

    device: Device
    network: Network
    compute: float
    rate: float
    rtt: float

    def as_profiles(self) -> tuple[Device, Network]:
        """The profiles with this member's own figures behind their names."""
        costs = {o: s * self.compute for o, s in self.device.seconds_per_operation.items()}
        network = replace(
            self.network,
            down_bytes_per_s=self.network.down_bytes_per_s * self.rate,
            up_bytes_per_s=self.network.up_bytes_per_s * self.rate,
            rtt_s=self.network.rtt_s * self.rtt,
        )
        return replace(self.device, seconds_per_operation=MappingProxyType(costs)), network


@dataclass(frozen=True, slots=True)
class Population:
    """A mix and how far members stray from its profiles."""

    count: int
    seed: int
    devices: Mix[Device]
    networks: Mix[Network]
    spread: Mapping[str, Quantity] = field(hash=False)
    """Geometric standard deviations by figure; a figure not named does not vary."""
    availability: Quantity | None = None
    """Share of rounds for which a member can be had; without it, all."""

    def members(self) -> Iterator[Drawn]:
        """In the order of their indices."""
        for index in range(self.count):
            uniforms = _uniforms(self.seed, index, 2 + len(_SPREADS))
            factors = (self._factor(s, u) for s, u in zip(_SPREADS, uniforms[2:], strict=True))
            device, network = self.devices.pick(uniforms[0]), self.networks.pick(uniforms[1])
            yield Drawn(device, network, *factors)

    def digest(self) -> str:
        """SHA-256 over all members as drawn: the same description gives the same fleet, or says
        that it does not."""
        drawn = sha256(_LABEL.encode())
        for m in self.members():
            factors = f"{m.compute:.6f} {m.rate:.6f} {m.rtt:.6f}"
            drawn.update(f"\n{m.device.name} {m.network.name} {factors}".encode())
        return drawn.hexdigest()

    def to_mapping(self) -> dict[str, object]:
        """The table it was read from, profiles by name."""
        mapping: dict[str, object] = {"count": self.count, "seed": self.seed}
        mapping["devices_source"] = self.devices.source
        mapping["networks_source"] = self.networks.source
        if self.availability is not None:
            mapping["availability"] = self.availability.to_mapping()
        if self.spread:
            mapping["spread"] = {key: value.to_mapping() for key, value in self.spread.items()}
        mapping["devices"] = [{"device": p.name, "weight": w} for p, w in self.devices.choices]
        mapping["networks"] = [{"network": p.name, "weight": w} for p, w in self.networks.choices]
        return mapping

    def _factor(self, figure: str, uniform: float) -> float:
        """Log-normal with median 1."""
        if figure not in self.spread:
            return 1.0
        normal = NormalDist()
        edge = normal.cdf(-WIDEST)
        deviate = normal.inv_cdf(edge + uniform * (1 - 2 * edge))
        return round(math.exp(deviate * math.log(self.spread[figure].value)), _FACTOR_DIGITS)


def parse_population(
    table: Table, device: Callable[[Table], Device], network: Callable[[Table], Network]
) -> Population:
    """`device`, `network` read the profile that a table names under that key."""
    sources = ("devices_source", "networks_source")
    table.allow(("count", "seed", "availability", "spread", "devices", "networks", *sources))
    seed = table.count("seed", MAX_SEED)
    return Population(
        table.count("count", MAX_MEMBERS),
        seed,
        Mix(_choices(table, "device", device), table.text("devices_source")),
        Mix(_choices(table, "network", network), table.text("networks_source")),
        MappingProxyType(_spread(table)),
        _availability(table),
    )


def _choices(
    table: Table, key: str, read: Callable[[Table], _Profile]
) -> tuple[tuple[_Profile, int], ...]:
    found: dict[str, tuple[_Profile, int]] = {}
    for entry in table.tables(f"{key}s"):
        entry.allow((key, "weight"))
        profile = read(entry)
        if profile.name in found:
            raise entry.error(key, f"repeats {profile.name!r}: raise its weight instead")
        found[profile.name] = profile, entry.count("weight", MAX_WEIGHT)
    return tuple(found.values())


def _spread(table: Table) -> dict[str, Quantity]:
    if "spread" not in table.entries:
        return {}
    entries = table.table("spread")
    entries.allow(_SPREADS)
    found = {
        key: entries.quantity(key, Dimension.SPREAD) for key in _SPREADS if key in entries.entries
    }
    for key, quantity in found.items():
        if not 1 < quantity.value <= 10:
            raise entries.error(f"{key}.value", "must be above 1 (no spread) and at most 10")
    return found


def _availability(table: Table) -> Quantity | None:
    if "availability" not in table.entries:
        return None
    availability = table.quantity("availability", Dimension.SHARE)
    if availability.value > 1:
        raise table.error("availability.value", "must be at most 100 %")
    return availability


def _uniforms(seed: int, index: int, count: int) -> Sequence[float]:
    """In [0, 1), each of 53 bits; the same on every machine."""
    drawn = blake2b(f"{_LABEL}/{seed}/{index}".encode(), digest_size=8 * count).digest()
    words = (int.from_bytes(drawn[i : i + 8], "big") for i in range(0, len(drawn), 8))
    return [(word >> 11) / 2**53 for word in words]
