"""Device profiles: what each operation costs an emulated device, and its memory.

Knows nothing of who counts the operations or who charges for them: the names below are the only
thing shared with the vocabulary of work (a test compares the two).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from profiles.catalogue import Kind, locate
from profiles.document import Table, read_table
from profiles.quantity import Dimension, Quantity

# The figures of a device file, in the order in which they are shown: key, dimension and, for a
# cost, the operation it is charged for. A duration is the cost itself, a rate its reciprocal.
_FIGURES: tuple[tuple[str, Dimension, str | None], ...] = (
    ("memory", Dimension.MEMORY, None),
    ("training_rate", Dimension.MAC_RATE, "training_mac"),
    ("batch_overhead", Dimension.DURATION, "training_batch"),
    ("key_agreement", Dimension.DURATION, "key_agreement"),
    ("signature", Dimension.DURATION, "signature"),
    ("verification", Dimension.DURATION, "verification"),
    ("field_multiplication", Dimension.DURATION, "field_multiplication"),
    ("sealing_rate", Dimension.BYTE_RATE, "sealed_byte"),
    ("mask_rate", Dimension.BYTE_RATE, "mask_byte"),
    ("quantisation_rate", Dimension.VALUE_RATE, "quantised_value"),
)

OPERATIONS: tuple[str, ...] = tuple(name for _, _, name in _FIGURES if name is not None)
"""The operations every device states a cost for."""


@dataclass(frozen=True, slots=True)
class Device:
    """An emulated device. `anchor` names the workload its training rate was calibrated for."""

    name: str
    title: str
    anchor: str
    memory_bytes: int
    seconds_per_operation: Mapping[str, float] = field(hash=False)
    quantities: Mapping[str, Quantity] = field(hash=False)

    def to_mapping(self) -> dict[str, object]:
        """What its file holds, as plain values."""
        figures = {key: quantity.to_mapping() for key, quantity in self.quantities.items()}
        return {"title": self.title, "anchor": self.anchor, **figures}


def load_device(name_or_path: str, folder: Path | None = None) -> Device:
    """A shipped device by name, or the device of a TOML file (relative to `folder`)."""
    path = locate(Kind.DEVICE, name_or_path, folder or Path())
    return parse_device(path.stem, read_table(path))


def parse_device(name: str, table: Table) -> Device:
    """The device described by a table."""
    table.allow(("title", "anchor", *(key for key, _, _ in _FIGURES)))
    title, anchor = table.text("title"), table.text("anchor")
    quantities = {key: table.quantity(key, dimension) for key, dimension, _ in _FIGURES}
    return Device(
        name,
        title,
        anchor,
        memory_bytes=round(quantities["memory"].value),
        seconds_per_operation=MappingProxyType(_costs(quantities)),
        quantities=MappingProxyType(quantities),
    )


def _costs(quantities: Mapping[str, Quantity]) -> dict[str, float]:
    costs: dict[str, float] = {}
    for key, dimension, operation in _FIGURES:
        if operation is not None:
            value = quantities[key].value
            costs[operation] = value if dimension is Dimension.DURATION else 1 / value
    return costs
