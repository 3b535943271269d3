"""Kernel profiles: what computing with sparse weights took, against dense, as curves over the share
of zeros, one for each kind of layer.

Knows files and figures; nothing of models, nor of who is charged by them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

from profiles.catalogue import Kind, locate
from profiles.document import Table, read_table
from profiles.quantity import UNITS, Dimension

KINDS = ("dense", "convolution", "recurrent")
PASSES = ("forward", "training")
MOST_POINTS = 1000


@dataclass(frozen=True, slots=True)
class KernelCurve:
    """Shares of zeros, ascending from 0, and the time at each over the time of dense kernels."""

    zeros: tuple[float, ...]
    relative_time: tuple[float, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Kernels:
    """`task`: of whose model's layers the curves are; `passes`: of the forward pass alone, or of
    the whole of training."""

    name: str
    title: str
    task: str
    conditions: str
    passes: str
    layers: Mapping[str, KernelCurve] = field(hash=False)

    def to_mapping(self) -> dict[str, object]:
        """All that its file says, as plain values."""
        layers = {
            kind: {
                "zeros": list(curve.zeros),
                "relative_time": list(curve.relative_time),
                "source": curve.source,
            }
            for kind, curve in self.layers.items()
        }
        return {
            "name": self.name,
            "title": self.title,
            "task": self.task,
            "conditions": self.conditions,
            "passes": self.passes,
            "layers": layers,
        }


def load_kernels(name_or_path: str, folder: Path | None = None) -> Kernels:
    """Shipped ones by name, or those of a TOML file (relative to `folder`)."""
    path = locate(Kind.KERNELS, name_or_path, folder or Path())
    return parse_kernels(path.stem, read_table(path))


def parse_kernels(name: str, table: Table) -> Kernels:
    table.allow(("title", "task", "conditions", "passes", "layers"))
    passes = table.text("passes")
    if passes not in PASSES:
        raise table.error("passes", f"must be one of {', '.join(PASSES)}, not {passes!r}")
    layers = table.table("layers")
    layers.allow(KINDS)
    if not layers.entries:
        raise layers.error("", f"must hold a curve for at least one of {', '.join(KINDS)}")
    curves = {kind: _curve(layers.table(kind)) for kind in KINDS if kind in layers.entries}
    said = table.text("title"), table.text("task"), table.text("conditions")
    return Kernels(name, *said, passes, MappingProxyType(curves))


def _curve(table: Table) -> KernelCurve:
    table.allow(("source", "zeros", "relative_time"))
    zeros = _figures(table.table("zeros"), Dimension.SHARE)
    times = _figures(table.table("relative_time"), Dimension.FACTOR)
    if zeros[0] != 0 or zeros[-1] > 1:
        raise table.error("zeros.values", "must begin at 0 and end at 100 % or less")
    if any(after <= before for before, after in pairwise(zeros)):
        raise table.error("zeros.values", "must ascend")
    if len(times) != len(zeros):
        rule = f"must have one for each of the {len(zeros)} shares of zeros, not {len(times)}"
        raise table.error("relative_time.values", rule)
    if min(times) <= 0:
        raise table.error("relative_time.values", "must be above zero")
    if times[0] < 1:
        rule = "must begin with 1 or more: without zeros there is nothing to save"
        raise table.error("relative_time.values", rule)
    return KernelCurve(zeros, times, table.text("source"))


def _figures(table: Table, dimension: Dimension) -> tuple[float, ...]:
    """In the dimension's base unit."""
    table.allow(("values", "unit"))
    unit, values = table.text("unit"), table.entries.get("values")
    if unit not in UNITS[dimension]:
        raise table.error("unit", f"{unit!r} is not one of {', '.join(UNITS[dimension])}")
    if not isinstance(values, list) or not 2 <= len(values) <= MOST_POINTS:
        raise table.error("values", f"must be a list of 2 to {MOST_POINTS} numbers")
    for index, value in enumerate(values):
        is_number = type(value) in (int, float) and -1e300 < value < 1e300
        if not is_number or not math.isfinite(value):
            raise table.error(f"values[{index}]", f"must be a finite number, not {value!r}")
    return tuple(value * UNITS[dimension][unit] for value in values)
