"""What a strategy's half must keep to go on after a restart: plain values and arrays.

Whoever stores it says where: the coordinator's half with the coordinator, the client's half with
the client and nowhere else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


class StateError(ValueError):
    """A stored state is not one of this strategy: one line."""


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """`values` as JSON knows them. Arrays are not changed in place once they are in a state."""

    values: Mapping[str, Any] = field(default_factory=dict)
    arrays: Arrays = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return not self.values and not self.arrays

    def group(self, prefix: str) -> dict[str, NDArray[Any]]:
        """The arrays under a prefix, by what follows it."""
        start = prefix + "/"
        return {
            k.removeprefix(start): np.array(v)
            for k, v in self.arrays.items()
            if k.startswith(start)
        }


NOTHING = State()


def grouped(prefix: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
    return {f"{prefix}/{name}": array for name, array in arrays.items()}
