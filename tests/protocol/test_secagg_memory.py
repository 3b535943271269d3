"""Memory: nothing of the model's size is allocated beside what the caller holds."""

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from protocol.secagg.aggregate import Aggregate
from protocol.secagg.masks import Mask, Masks
from protocol.secagg.packing import packed_size
from protocol.secagg.ring import RING_BITS, FixedPoint

SIZE = 2_000_000
BOUND_BYTES = 4 * 2**20
"""Chunks and scratch; a vector has 4 to 16 MB in its words."""


def peak_bytes(action: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("bits", RING_BITS)
def test_adding_a_vector_needs_chunks_only(bits: int) -> None:
    """However many are added: the coordinator's memory does not grow with its clients."""
    total = Aggregate(SIZE, bits)
    packed = bytes(packed_size(SIZE, bits))

    def add_three() -> None:
        for _ in range(3):
            total.add(packed)

    assert peak_bytes(add_three) < BOUND_BYTES
    assert total.vectors == 3


@pytest.mark.parametrize("bits", [32, 64])
def test_quantising_and_masking_need_chunks_only(bits: int) -> None:
    ring = FixedPoint(1.0, bits, 1, 10)
    values, words = np.zeros(SIZE, np.float32), np.empty(SIZE, ring.word)
    assert peak_bytes(lambda: ring.quantise(values, 1, words)) < BOUND_BYTES
    some = [Mask(bytes([i]) * 32, 1) for i in range(3)]
    assert peak_bytes(lambda: Masks(some).apply(words, 0)) < BOUND_BYTES
    assert words.any()
