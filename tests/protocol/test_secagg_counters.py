"""Votes packed several to a word add up like votes, whatever hides the words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.upload import UploadLayout
from protocol.errors import LocalError, ProtocolError
from protocol.secagg.counters import PackedCounters
from protocol.secagg.ring import RING_BITS, FixedPoint, word_type


@given(
    bits=st.sampled_from(RING_BITS),
    clients=st.integers(1, 40),
    most=st.integers(1, 50),
    length=st.integers(0, 70),
    seed=st.integers(0, 2**32),
)
def test_sums_of_packed_words_are_the_packed_sums(
    bits: int, clients: int, most: int, length: int, seed: int
) -> None:
    counters = PackedCounters(length, clients * most, bits)
    random = np.random.default_rng(seed)
    values = random.integers(0, most, (clients, length), endpoint=True)
    total = random.integers(0, 2**16, counters.words).astype(word_type(bits))
    masks = total.copy()
    for own in values:
        total += counters.pack(own)
    total -= masks
    np.testing.assert_array_equal(counters.unpack(total), values.sum(axis=0))


def test_votes_of_twenty_clients_take_a_sixth_of_a_word() -> None:
    assert PackedCounters(600, 20, 32).words == 100
    assert PackedCounters(601, 20, 32).words == 101


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: PackedCounters(3, 2**16, 16), "need more than 16 bits"),
        (lambda: PackedCounters(3, 0, 16), "largest sum"),
        (lambda: PackedCounters(3, 3, 20), "ring_bits"),
        (lambda: PackedCounters(3, 3, 16).pack(np.array([0, 4, 1])), "outside"),
        (lambda: PackedCounters(3, 3, 16).pack(np.array([0, -1, 1])), "outside"),
        (lambda: PackedCounters(3, 3, 16).pack(np.array([0, 1])), "expected 3"),
    ],
)
def test_what_could_spill_over_is_refused(make: object, rule: str) -> None:
    with pytest.raises(LocalError, match=rule):
        make()  # type: ignore[operator]


def test_words_of_another_length_are_somebody_elses_fault() -> None:
    with pytest.raises(ProtocolError, match="expected 1 words"):
        PackedCounters(3, 3, 16).unpack(np.zeros(2, "<u4"))


def test_the_parts_of_an_upload_follow_one_another() -> None:
    numbers = FixedPoint(0.5, 32, max_weight=72, max_clients=20)
    dense = UploadLayout.of(100, 1, "none", numbers)
    assert (dense.counts_at, dense.share_at, dense.words) == (slice(100, 101), 101, 102)
    voting = UploadLayout.of(100, 7, "weight", numbers)
    assert (voting.counts_at, voting.share_at) == (slice(100, 104), 104)  # 11 bits, 2 to a word
    assert voting.votes_at == slice(105, 105 + 17)  # 5 bits a vote, 6 to a word
    assert voting.vote_weights_at == slice(122, 122 + 50)
    assert voting.words == 172
    assert UploadLayout.of(100, 7, "count", numbers).words == 122
    assert UploadLayout.of(100, 7, "none", numbers).words == 105
