"""Which neurons a straggler leaves out: orders that everybody can compute alike.

All three are public drop orders, one per layer and round, and the number dropped depends on the
keep ratio alone. Kept sets of different clients are therefore nested, and one participation count
per neuron makes the mean exact. A client's own evidence is another matter: `strategies.evidence`.
"""

import hashlib
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from learning.invariance import scores
from learning.structure import Keep, Structure, Vector, kept_sizes
from strategies.interface import Outcome, RoundView
from strategies.state import NOTHING, State

MODEL = "model"
"""In a state: the global model last seen, which is the same for all clients."""

DropOrder = Mapping[str, NDArray[np.intp]]
"""Each group's neurons, the first to be dropped first."""


class NeuronChoice(Protocol):
    """Sees every round, also those trained in full, so that it can judge when it must."""

    def see(self, view: RoundView) -> None: ...

    def keep(self, keep_ratio: float) -> Keep | None:
        """What to train of the model last seen; None if there is nothing to judge by."""
        ...

    def observe(self, outcome: Outcome) -> None: ...

    def state(self) -> State: ...

    def restore(self, state: State) -> None: ...


def keep_of(order: DropOrder, structure: Structure, keep_ratio: float) -> Keep:
    """What remains of each group after dropping from the front of its order, ascending."""
    kept = kept_sizes(structure, keep_ratio)
    return {group: np.sort(order[group][-size:]) for group, size in kept.items()}


class OrderedChoice:
    """Keeps each layer's first neurons (FjORD, arXiv 2102.13451)."""

    def __init__(self, structure: Structure) -> None:
        self._structure = structure

    def see(self, view: RoundView) -> None:
        """The order never changes."""

    def keep(self, keep_ratio: float) -> Keep:
        order = {group: np.arange(size)[::-1] for group, size in self._structure.sizes.items()}
        return keep_of(order, self._structure, keep_ratio)

    def observe(self, outcome: Outcome) -> None:
        """Nothing to learn: the order is public."""

    def state(self) -> State:
        return NOTHING

    def restore(self, state: State) -> None:
        """There is nothing to restore."""


class RandomChoice:
    """Drops neurons in an order drawn anew each round (Caldas 2018, arXiv 1812.07210)."""

    def __init__(self, structure: Structure, seed: int) -> None:
        self._structure = structure
        self._seed = seed
        self._round = 0

    def see(self, view: RoundView) -> None:
        self._round = view.round

    def keep(self, keep_ratio: float) -> Keep:
        order = {
            group: shuffled(size, f"{self._seed}/{self._round}/{group}")
            for group, size in self._structure.sizes.items()
        }
        return keep_of(order, self._structure, keep_ratio)

    def observe(self, outcome: Outcome) -> None:
        """Nothing to learn: the order is public."""

    def state(self) -> State:
        return NOTHING

    def restore(self, state: State) -> None:
        """There is nothing to restore."""


def shuffled(size: int, label: str) -> NDArray[np.intp]:
    """A permutation that depends on the label only: by SHA-256, because numpy does not promise the
    same stream from one version to the next and all clients must agree."""
    prefix = f"testbed/neuron-order/1/{label}/"
    digests = [hashlib.sha256(f"{prefix}{index}".encode()).digest() for index in range(size)]
    return np.array(sorted(range(size), key=digests.__getitem__), dtype=np.intp)


class History:
    """The models of this round and of the one before."""

    def __init__(self) -> None:
        self._latest: tuple[int, Vector] | None = None
        self._before: tuple[int, Vector] | None = None

    def see(self, round_: int, model: Vector) -> None:
        """Seeing a round again (another attempt) changes nothing but the model it starts from."""
        if self._latest is not None and self._latest[0] != round_:
            self._before = self._latest
        self._latest = (round_, model)

    def state(self) -> State:
        """The model before the latest is of no use once the next is seen."""
        if self._latest is None:
            return NOTHING
        return State({"seen": self._latest[0]}, {MODEL: self._latest[1]})

    def restore(self, state: State) -> None:
        if MODEL in state.arrays:
            self._latest = int(state.values["seen"]), state.arrays[MODEL]

    def change(self) -> tuple[Vector, Vector] | None:
        """The model before the last round and what that round added; None if this client missed
        either model, or if nothing was added (a round that failed tells nothing of neurons)."""
        if self._latest is None or self._before is None or self._before[0] != self._latest[0] - 1:
            return None
        if self._latest[1] is self._before[1]:
            return None
        # What has become zero was pruned for everybody: no evidence of what training changes.
        before = np.where(self._latest[1] == 0, np.float32(0), self._before[1])
        update = self._latest[1] - before
        return (before, update) if update.any() else None


class GlobalEvidenceChoice:
    """Drops what the last round changed least in the global model, ties by index.

    Uses elementwise arithmetic and maxima only, so that all clients get the same order to the bit.
    A client that missed the last round's model cannot know the order and trains in full.
    """

    def __init__(self, structure: Structure) -> None:
        self._structure = structure
        self._history = History()

    def see(self, view: RoundView) -> None:
        self._history.see(view.round, view.model)

    def keep(self, keep_ratio: float) -> Keep | None:
        change = self._history.change()
        if change is None:
            return None
        found = scores(self._structure, *change)  # NaN (no evidence) sorts last: is kept first
        order = {group: np.argsort(score, kind="stable") for group, score in found.items()}
        return keep_of(order, self._structure, keep_ratio)

    def observe(self, outcome: Outcome) -> None:
        """Nothing to learn: the order is public."""

    def state(self) -> State:
        return self._history.state()

    def restore(self, state: State) -> None:
        self._history.restore(state)
