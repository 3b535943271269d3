"""Splits of labels over clients."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.age_partition import AGE_PARTITIONS
from learning.partition import PARTITIONS, Partition, PartitionError, split

LABELS = np.random.default_rng(0).integers(0, 10, 1000)


@settings(max_examples=60)
@given(
    name=st.sampled_from(sorted(PARTITIONS.keys() - AGE_PARTITIONS.keys())),
    clients=st.integers(1, 40),
    least=st.integers(1, 25),
    alpha=st.sampled_from([0.01, 0.5, 100.0]),
    seed=st.integers(0, 2**31),
)
def test_every_example_goes_to_one_client_and_each_has_a_batch(
    name: str, clients: int, least: int, alpha: float, seed: int
) -> None:
    partition = Partition(name, clients, least, alpha, np.arange(len(LABELS)) % 50)
    shares = split(LABELS, partition, seed)
    assert len(shares) == clients
    assert np.array_equal(np.sort(np.concatenate(shares)), np.arange(len(LABELS)))
    assert min(map(len, shares)) >= least
    again = split(LABELS, partition, seed)
    assert all(np.array_equal(a, b) for a, b in zip(shares, again, strict=True))


def test_iid_sizes_are_balanced() -> None:
    sizes = [len(share) for share in split(LABELS, Partition("iid", 7, 1), 0)]
    assert max(sizes) - min(sizes) <= 1


def test_another_seed_is_another_split() -> None:
    one, other = (split(LABELS, Partition("iid", 7, 1), seed) for seed in (0, 1))
    assert not np.array_equal(one[0], other[0])


def test_shards_give_few_labels_to_a_client() -> None:
    """Two shards of a tenth of a label's examples each span at most four labels."""
    shares = split(LABELS, Partition("shards", 20, 1), 0)
    assert max(len(np.unique(LABELS[share])) for share in shares) <= 4


def test_a_small_alpha_is_more_uneven_than_a_large_one() -> None:
    def spread(alpha: float) -> float:
        shares = split(LABELS, Partition("dirichlet", 10, 1, alpha), 0)
        mixes = [np.bincount(LABELS[share], minlength=10) / len(share) for share in shares]
        return float(np.std(mixes, axis=0).mean())

    assert spread(0.1) > 3 * spread(100.0)


@pytest.mark.parametrize(
    ("partition", "rule"),
    [
        (Partition("by-moon", 2, 1), "must be one of"),
        (Partition("iid", 0, 1), "at least 1"),
        (Partition("iid", 101, 10), "need 1010, the data has 1000"),
        (Partition("dirichlet", 2, 1, 0.0), "alpha must be above 0"),
        (Partition("dirichlet", 2, 1, float("nan")), "alpha must be above 0"),
    ],
)
def test_illegal_partitions(partition: Partition, rule: str) -> None:
    with pytest.raises(PartitionError, match=rule):
        split(LABELS, partition, 0)


def test_a_fleet_larger_than_the_data_may_share_it() -> None:
    shares = split(LABELS, Partition("shared", 1003, 10), 0)
    assert len(shares) == 1003
    assert np.array_equal(np.sort(np.concatenate(shares[:20])), np.arange(len(LABELS)))
    assert all(shares[client] is shares[client % 20] for client in range(1003))


def test_shared_among_few_is_iid() -> None:
    shared, iid = (split(LABELS, Partition(name, 7, 10), 3) for name in ("shared", "iid"))
    assert all(np.array_equal(a, b) for a, b in zip(shared, iid, strict=True))
