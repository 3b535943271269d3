"""What a task's model is trained towards and judged by: classes told apart, or a number estimated.

Must not know models, where data comes from, clients or rounds.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Strata = NDArray[np.int64]
Targets = NDArray[np.int64] | NDArray[np.float32]
"""What is to be said of each example: its class, or its value."""


class Objective(Protocol):
    @property
    def metric(self) -> str:
        """Its name; the mean of `scores`."""

    @property
    def unit(self) -> str | None:
        """Of the metric; None: a share of the examples."""

    @property
    def lower_is_better(self) -> bool: ...

    @property
    def strata(self) -> int:
        """Kinds of examples that a client's own mix is made of, numbered from 0."""

    def stratum(self, targets: Targets) -> Strata:
        """The kind of each example."""

    def per_example(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss of each example [n]; training minimises their mean."""

    def scores(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """What each example adds to the metric [n]."""

    def card(self, targets: Targets) -> str:
        """What there is to be said of all of them, in one line."""

    @property
    def of_share(self) -> str:
        """What `share` counts or measures."""

    def share(self, targets: Targets) -> float:
        """What there is to be said of one client's, as a number."""


@dataclass(frozen=True, slots=True)
class Classification:
    """One output a class; the largest is the answer."""

    classes: int

    @property
    def metric(self) -> str:
        return "accuracy"

    @property
    def unit(self) -> str | None:
        return None

    @property
    def lower_is_better(self) -> bool:
        return False

    @property
    def strata(self) -> int:
        return self.classes

    def stratum(self, targets: Targets) -> Strata:
        return targets.astype(np.int64, copy=False)

    def per_example(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(outputs, targets, reduction="none")

    def scores(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return outputs.argmax(1) == targets

    def card(self, targets: Targets) -> str:
        return f"{len(np.unique(targets))} labels present"

    @property
    def of_share(self) -> str:
        return "labels"

    def share(self, targets: Targets) -> float:
        return len(np.unique(targets))


@dataclass(frozen=True, slots=True)
class Regression:
    """One output [n, 1]: the value itself. Trained on squared errors, judged by the mean absolute
    one."""

    unit: str
    stratum_width: float
    """A client's own mix is told apart in steps of so many units, from 0."""
    strata: int
    """The last is open: it holds all larger values too."""

    @property
    def metric(self) -> str:
        return "mae"

    @property
    def lower_is_better(self) -> bool:
        return True

    def stratum(self, targets: Targets) -> Strata:
        steps = np.floor(targets / self.stratum_width).astype(np.int64)
        return np.clip(steps, 0, self.strata - 1)

    def per_example(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (outputs.squeeze(1) - targets).square()

    def scores(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (outputs.squeeze(1) - targets).abs()

    def card(self, targets: Targets) -> str:
        return (
            f"{targets.min():.1f} to {targets.max():.1f} {self.unit}, mean {targets.mean():.1f}, "
            f"standard deviation {targets.std():.1f}"
        )

    @property
    def of_share(self) -> str:
        return f"mean {self.unit}"

    def share(self, targets: Targets) -> float:
        return float(targets.mean())
