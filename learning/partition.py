"""Who holds which training examples: seeded splits of a data set over clients.

Every example goes to exactly one client, and every client gets at least `least` of them (one
batch); only in the split `shared` do clients hold the same ones. Must not know models or where the
data came from.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from learning.age_partition import AGE_PARTITIONS, SILOS, by_age

Labels = NDArray[np.int64]
Indices = NDArray[np.intp]

SHARDS_PER_CLIENT = 2
"""McMahan et al. 2017 (arXiv 1602.05629): each client gets two shards of label-sorted data."""

SHARED_PARTS = 20
"""Of the split `shared`: as many as the default fleet has clients, so that a client of a fleet too
large for its data trains as much as one of that (our choice)."""


class PartitionError(ValueError):
    """A split that the data cannot give."""


@dataclass(frozen=True, slots=True)
class Partition:
    """How to split: `iid`, `dirichlet` (`alpha`: smaller is more uneven), `shards`, `shared`,
    `user`, or by age (`learning.age_partition`)."""

    name: str
    clients: int
    least: int
    alpha: float = 1.0
    users: Labels | None = None
    """Who each example is of, for `user`."""
    ages: NDArray[np.float32] | None = None
    """Of each example, for the splits by age."""


def split(labels: Labels, partition: Partition, seed: int) -> tuple[Indices, ...]:
    """Each client's examples, ascending."""
    if partition.name not in (*PARTITIONS, "shared"):
        known = sorted((*PARTITIONS, "shared"))
        raise PartitionError(f"partition must be one of {known}: {partition.name!r}")
    if partition.clients < 1:
        raise PartitionError(f"clients must be at least 1: {partition.clients}")
    if partition.name == "shared":
        few = replace(partition, name="iid", clients=min(partition.clients, SHARED_PARTS))
        parts = split(labels, few, seed)
        return tuple(parts[client % len(parts)] for client in range(partition.clients))
    needed = partition.clients * partition.least
    if needed > len(labels):
        raise PartitionError(
            f"{partition.clients} clients with {partition.least} examples each need {needed}, "
            f"the data has {len(labels)}"
        )
    generator = np.random.default_rng([seed, 0x5917])  # a stream of its own beside other seeds
    shares = PARTITIONS[partition.name](labels, partition, generator)
    return tuple(np.sort(share) for share in _topped_up(shares, partition.least))


def _iid(labels: Labels, partition: Partition, generator: np.random.Generator) -> list[Indices]:
    return np.array_split(generator.permutation(len(labels)), partition.clients)


def _dirichlet(
    labels: Labels, partition: Partition, generator: np.random.Generator
) -> list[Indices]:
    """Each label's examples are shared out by proportions of their own (Hsu et al. 2019)."""
    if not partition.alpha > 0:
        raise PartitionError(f"alpha must be above 0: {partition.alpha}")
    parts: list[list[Indices]] = [[] for _ in range(partition.clients)]
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        proportions = generator.dirichlet(np.full(partition.clients, partition.alpha))
        cuts = (np.cumsum(proportions)[:-1] * len(members)).astype(np.intp)
        for part, share in zip(parts, np.split(members, cuts), strict=True):
            part.append(share)
    return [np.concatenate(part) for part in parts]


def _shards(labels: Labels, partition: Partition, generator: np.random.Generator) -> list[Indices]:
    order = generator.permutation(len(labels))
    by_label = order[np.argsort(labels[order], kind="stable")]
    shards = np.array_split(by_label, partition.clients * SHARDS_PER_CLIENT)
    drawn = generator.permutation(len(shards)).reshape(partition.clients, SHARDS_PER_CLIENT)
    return [np.concatenate([shards[number] for number in numbers]) for numbers in drawn]


def _by_user(labels: Labels, partition: Partition, generator: np.random.Generator) -> list[Indices]:
    """Users are dealt out whole; a client has several where there are more users than clients."""
    if partition.users is None:
        raise PartitionError("user: nobody knows whose examples these are")
    users = np.unique(partition.users)
    if len(users) < partition.clients:
        raise PartitionError(f"user: {len(users)} users for {partition.clients} clients")
    hands = np.array_split(generator.permutation(users), partition.clients)
    return [np.flatnonzero(np.isin(partition.users, hand)) for hand in hands]


def _by_age(labels: Labels, partition: Partition, generator: np.random.Generator) -> list[Indices]:
    if partition.ages is None:
        raise PartitionError(f"{partition.name}: the task has no ages to split by")
    if partition.clients != SILOS:
        raise PartitionError(f"{partition.name}: is for {SILOS} clients, not {partition.clients}")
    return by_age(partition.ages, AGE_PARTITIONS[partition.name], generator)


Splitter = Callable[[Labels, Partition, np.random.Generator], list[Indices]]
PARTITIONS: Mapping[str, Splitter] = {
    "iid": _iid,
    "dirichlet": _dirichlet,
    "shards": _shards,
    "user": _by_user,
    **dict.fromkeys(AGE_PARTITIONS, _by_age),
}
ALIKE = frozenset({"iid", "uniform-iid", "skewed-iid"})
"""Splits whose parts differ in what they hold by chance only."""


def _topped_up(shares: list[Indices], least: int) -> list[Indices]:
    """Move examples from the largest share to those that are too small."""
    for number in range(len(shares)):
        while len(shares[number]) < least:
            largest = max(range(len(shares)), key=lambda other: len(shares[other]))
            lacking = least - len(shares[number])
            count = min(lacking, max(1, (len(shares[largest]) - least) // 2))
            shares[number] = np.concatenate([shares[number], shares[largest][-count:]])
            shares[largest] = shares[largest][:-count]
    return shares
