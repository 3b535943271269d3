"""Network profiles: the steady access link of a device.

Rates are what the link carries on the wire, framing included. Knows nothing of traces or of who
uses the link.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from profiles.catalogue import Kind, locate
from profiles.document import Table, read_table
from profiles.jitter import DISTRIBUTION, NetworkJitter, parse_jitter
from profiles.jitter import KEYS as JITTER_KEYS
from profiles.quantity import Dimension, Quantity
from profiles.reordering import KEYS as REORDERING_KEYS
from profiles.reordering import NetworkReordering, parse_reordering
from profiles.transport import CONTROL, NetworkTransport, parse_transport
from profiles.transport import KEYS as TRANSPORT_KEYS

_FIGURES: tuple[tuple[str, Dimension], ...] = (
    ("down", Dimension.LINK_RATE),
    ("up", Dimension.LINK_RATE),
    ("rtt", Dimension.DURATION),
)


@dataclass(frozen=True, slots=True)
class Network:
    """An access link. `rtt_s` is the round trip of an idle link: half of it each way."""

    name: str
    title: str
    down_bytes_per_s: float
    up_bytes_per_s: float
    rtt_s: float
    transport: NetworkTransport
    quantities: Mapping[str, Quantity] = field(hash=False)
    jitter: NetworkJitter | None = None
    reordering: NetworkReordering | None = None

    def to_mapping(self) -> dict[str, object]:
        """What its file holds, as plain values."""
        figures = {key: quantity.to_mapping() for key, quantity in self.quantities.items()}
        words = {CONTROL: self.transport.congestion_control}
        if self.jitter:
            words[DISTRIBUTION] = self.jitter.distribution
        return {"title": self.title, **figures, **words}


def load_network(name_or_path: str, folder: Path | None = None) -> Network:
    """A shipped network by name, or the network of a TOML file (relative to `folder`)."""
    path = locate(Kind.NETWORK, name_or_path, folder or Path())
    return parse_network(path.stem, read_table(path))


def parse_network(name: str, table: Table) -> Network:
    """The network described by a table."""
    figures = (key for key, _ in _FIGURES)
    table.allow(("title", *figures, *JITTER_KEYS, *REORDERING_KEYS, *TRANSPORT_KEYS))
    title = table.text("title")
    quantities = {key: table.quantity(key, dimension) for key, dimension in _FIGURES}
    jitter, wandering = parse_jitter(table, quantities["rtt"].value)
    transport, queueing = parse_transport(table)
    reordering, disorder = parse_reordering(table)
    return Network(
        name,
        title,
        down_bytes_per_s=quantities["down"].value,
        up_bytes_per_s=quantities["up"].value,
        rtt_s=quantities["rtt"].value,
        transport=transport,
        quantities=MappingProxyType(quantities | queueing | wandering | disorder),
        jitter=jitter,
        reordering=reordering,
    )
