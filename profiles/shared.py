"""Links that several devices of a fleet share: a household's line, a cell, a dormitory's uplink.

Knows who shares what at which rate; how they take turns is not known here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from profiles.document import Table
from profiles.quantity import Dimension, Quantity


@dataclass(frozen=True, slots=True)
class SharedAccess:
    """A link beyond the members' own, which all that they send and get crosses. It adds no delay:
    the round trip is the members' networks' own."""

    name: str
    down_bytes_per_s: float
    up_bytes_per_s: float
    members: tuple[int, ...]
    """Clients, ascending."""
    quantities: Mapping[str, Quantity] = field(hash=False)

    def to_mapping(self) -> dict[str, object]:
        figures = {key: quantity.to_mapping() for key, quantity in self.quantities.items()}
        return {"name": self.name, "members": list(self.members), **figures}


def parse_shared(table: Table, clients: int) -> tuple[SharedAccess, ...]:
    """The `[[shared]]` tables of a fleet of so many clients."""
    if "shared" not in table.entries:
        return ()
    found: dict[str, SharedAccess] = {}
    for place in table.tables("shared"):
        place.allow(("name", "members", "down", "up"))
        name = place.text("name")
        if name in found:
            raise place.error("name", f"another shared link is named {name!r} as well")
        figures = {key: place.quantity(key, Dimension.LINK_RATE) for key in ("down", "up")}
        found[name] = SharedAccess(
            name,
            down_bytes_per_s=figures["down"].value,
            up_bytes_per_s=figures["up"].value,
            members=_members(place, clients),
            quantities=MappingProxyType(figures),
        )
    return tuple(found.values())


def _members(place: Table, clients: int) -> tuple[int, ...]:
    """A list of clients, or "all"."""
    raw = place.entries.get("members")
    if raw == "all":
        return tuple(range(clients))
    if not isinstance(raw, list) or not raw:
        raise place.error("members", 'must be a list of clients (numbers from 0), or "all"')
    for number in raw:
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < clients:
            raise place.error("members", f"must be numbers from 0 to {clients - 1}, not {number!r}")
    if len(set(raw)) != len(raw):
        raise place.error("members", "names a client twice")
    return tuple(sorted(raw))
