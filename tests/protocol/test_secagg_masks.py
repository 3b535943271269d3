"""Masks: the keystream's golden vectors, and the same words however the vector is cut up."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR, ECB
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import LocalError
from protocol.secagg.aggregate import Aggregate
from protocol.secagg.masks import (
    SEGMENT_WORDS,
    Keystream,
    Mask,
    Masks,
    by_segment,
    faster_keystream,
)
from protocol.secagg.packing import pack
from protocol.secagg.ring import Words

KEY = hashlib.sha256(b"a key").digest()
BOTH = pytest.mark.parametrize("keystream", list(Keystream))


def expand(key: bytes, size: int, keystream: Keystream = Keystream.GCM, offset: int = 0) -> Words:
    words = np.zeros(size, "<u4")
    Masks([Mask(key, 1)], keystream).apply(words, offset)
    return words


@BOTH
def test_gcm_golden_vector(keystream: Keystream) -> None:
    """McGrew and Viega, The Galois/Counter Mode of Operation, test case 14: AES-256, key, nonce
    and plaintext zero; the ciphertext is the keystream."""
    assert expand(bytes(32), 4, keystream).tobytes().hex() == "cea7403d4d606b6e074ec5d3baf39d18"


def test_ctr_golden_vector() -> None:
    """NIST SP 800-38A F.5.5 (CTR-AES256), of the library whose counter mode is used."""
    key = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    counter = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    plain = bytes.fromhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")
    cipher = Cipher(AES(key), CTR(counter)).encryptor().update(plain)
    assert cipher.hex() == "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"


@BOTH
def test_the_mask_written_out(keystream: Keystream) -> None:
    """Block j of segment i is AES-256(key, i in 12 bytes ‖ 2 + j in 4), for 4 words of 32 bits."""
    aes = Cipher(AES(KEY), ECB()).encryptor()
    for segment, block in ((0, 0), (0, 1), (1, 0), (1, 777), (3, SEGMENT_WORDS // 4 - 1)):
        expected = aes.update(segment.to_bytes(12) + (2 + block).to_bytes(4))
        offset = segment * SEGMENT_WORDS + 4 * block
        assert expand(KEY, 4, keystream, offset).tobytes() == expected
    assert expand(KEY, 4, keystream).tobytes().hex() == "1b16532c5786c0bb25ca879585fbd9e5"


@BOTH
def test_wide_words_read_the_same_stream(keystream: Keystream) -> None:
    wide = np.zeros(6, "<u8")
    Masks([Mask(KEY, 1)], keystream).apply(wide, 0)
    assert wide.tobytes() == expand(KEY, 12).tobytes()


@settings(max_examples=40)
@given(
    start=st.integers(0, 40),
    cuts=st.lists(st.integers(1, 90_000), min_size=1, max_size=5),
    near_segment_end=st.booleans(),
    keystream=st.sampled_from(list(Keystream)),
    wide=st.booleans(),
)
def test_any_range_is_masked_alike(
    start: int, cuts: list[int], near_segment_end: bool, keystream: Keystream, wide: bool
) -> None:
    """Ranges one after the other, across chunks and segments, from any offset."""
    dtype = "<u8" if wide else "<u4"
    masks = [Mask(KEY, 1), Mask(bytes(32), -1)]
    start += SEGMENT_WORDS - 50_000 if near_segment_end else 0
    whole = np.zeros(sum(cuts), dtype)
    for position in range(0, whole.size, 10_007):  # every piece opened anew
        Masks(masks).apply(whole[position : position + 10_007], start + position)
    pieces = np.zeros(whole.size, dtype)
    going_on = Masks(masks, keystream)
    position = 0
    for cut in cuts:
        going_on.apply(pieces[position : position + cut], start + position)
        position += cut
    assert (pieces == whole).all()


def test_opposite_signs_cancel_and_keys_differ() -> None:
    words = np.arange(1000, dtype="<u4")
    Masks([Mask(KEY, 1), Mask(KEY, -1)]).apply(words, 0)
    assert (words == np.arange(1000)).all()
    assert (expand(KEY, 1000) != expand(bytes(32), 1000)).mean() > 0.99


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_threads_change_nothing(threads: int) -> None:
    words = np.arange(2 * SEGMENT_WORDS + 5, dtype="<u4")
    expected = words.copy()
    masks = [Mask(KEY, 1), Mask(bytes(32), -1)]
    Masks(masks).apply(expected, 0)
    total = Aggregate(words.size, 32)
    total.add(pack(words, 32))
    if threads:
        with ThreadPoolExecutor(threads) as executor:
            total.remove(masks, Keystream.GCM, executor)
    else:
        total.remove(masks)
    assert (total.words == expected).all()


def test_segments_may_come_in_any_order() -> None:
    words = np.arange(2 * SEGMENT_WORDS + 5, dtype="<u4")
    expected = words.copy()
    Masks([Mask(KEY, 1)]).apply(expected, 0)
    for job in reversed(by_segment([Mask(KEY, 1)], words)):
        job()
    assert (words == expected).all()


def test_a_mask_looks_uniform() -> None:
    """Every byte value about equally often: chi-square over 256 cells, 5 standard deviations."""
    counts = np.bincount(expand(KEY, 100_000).view(np.uint8), minlength=256)
    expected = counts.sum() / 256
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    assert abs(chi_square - 255) < 5 * np.sqrt(2 * 255)


def test_wrong_words_are_refused() -> None:
    for words in (np.zeros(4, np.int64), np.zeros((2, 2), "<u4"), np.zeros(4, np.float32)):
        with pytest.raises(LocalError):
            Masks([Mask(KEY, 1)]).apply(words, 0)  # type: ignore[arg-type]


def test_the_faster_way_is_chosen_by_the_clock_given() -> None:
    """A clock on which everything after the first measurement takes no time prefers CTR."""
    assert faster_keystream(iter([0, 9, 9, 10, 10, 18, 18, 25]).__next__) is Keystream.CTR
    assert faster_keystream(iter([0, 9, 9, 10, 10, 11, 11, 25]).__next__) is Keystream.GCM


def test_the_aggregate_adds_whole_vectors_only() -> None:
    total = Aggregate(5, 24)
    vector = bytes(range(15))
    total.add(vector)
    total.add(memoryview(vector))
    words = [int.from_bytes(vector[3 * i : 3 * i + 3], "little") for i in range(5)]
    assert (total.words % 2**24).tolist() == [2 * word for word in words]
    assert total.vectors == 2
    before = total.words.copy()
    for wrong in (vector[:-1], vector + b"\x00", b""):
        with pytest.raises(Exception, match="instead of 15"):
            total.add(wrong)
    assert (total.words == before).all()
    assert total.vectors == 2
    with pytest.raises(ValueError, match="read-only"):
        total.words[0] = 1


def test_there_is_nothing_to_unmask_in_an_empty_sum() -> None:
    with pytest.raises(LocalError):
        Aggregate(5, 32).remove([])
