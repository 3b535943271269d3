"""Masks: keys expanded to words as fast as the machine adds, and applied to a vector in place.

The mask of a 256-bit key is defined in segments of 2^20 words: segment i is the AES-256 keystream
of GCM with the 96-bit nonce i (NIST SP 800-38D), which is CTR's from counter block i ‖ 00000002
(SP 800-38A), read as little-endian words of 4 bytes (rings up to 32 bits) or 8. GCM's is the
faster of the two here and CTR can start anywhere, so a range of a vector can be masked on its own.
A key is used for one vector only, hence nonces need not differ between keys.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR, GCM
from numpy.typing import NDArray

from protocol.errors import LocalError
from protocol.secagg.ring import Words

SEGMENT_WORDS = 2**20
_CHUNK_BYTES = 2**18
"""Chunks outside and peers inside: chunk and scratch stay in the core's own cache."""
_BLOCK_BYTES = 16
_ZEROS = memoryview(bytes(_CHUNK_BYTES))
_APPLY = (np.subtract, np.add)
_Read = Callable[[memoryview, memoryview], int]


class Keystream(StrEnum):
    """Two ways to the same bytes."""

    GCM = "gcm"
    CTR = "ctr"


@dataclass(frozen=True, slots=True)
class Mask:
    """A key's mask and whether it is added (+1) or subtracted (−1)."""

    key: bytes = field(repr=False)
    sign: int


class Masks:
    """Some masks, applied range by range. Ranges in order cost least: the ciphers stay open.

    Not for two threads at once: it owns a scratch buffer.
    """

    def __init__(self, masks: Sequence[Mask], keystream: Keystream = Keystream.GCM) -> None:
        self._masks = [(AES(mask.key), _APPLY[mask.sign > 0]) for mask in masks]
        self._keystream = keystream
        self._scratch: NDArray[np.uint8] = np.empty(_CHUNK_BYTES, np.uint8)
        self._steps: list[tuple[_Read, np.ufunc]] = []
        """Each open keystream, and how what it yields is applied."""
        self._next = -1
        """The coordinate that the keystreams are at."""

    def apply(self, words: Words, offset: int) -> None:
        """Add (subtract) every mask to `words`, the coordinates from `offset` of the vector."""
        if words.dtype not in (np.dtype("<u4"), np.dtype("<u8")) or words.ndim != 1:
            raise LocalError("words must be a vector of little-endian uint32 or uint64")
        word_bytes = words.dtype.itemsize
        scratch = self._scratch.view(words.dtype)
        for start, stop in _chunks(offset, words.size, word_bytes):
            if start != self._next or start % SEGMENT_WORDS == 0:
                self._open(start, word_bytes)
            chunk, mask = words[start - offset : stop - offset], scratch[: stop - start]
            zeros, raw = _ZEROS[: mask.nbytes], self._scratch[: mask.nbytes].data
            for read_into, add_or_subtract in self._steps:  # the innermost loop: nothing else
                read_into(zeros, raw)
                add_or_subtract(chunk, mask, chunk)
            self._next = stop

    def _open(self, offset: int, word_bytes: int) -> None:
        """All keystreams at a coordinate: anew at each segment and wherever reading jumps."""
        self._steps = [
            (_opened(key, self._keystream, offset, word_bytes).update_into, add_or_subtract)
            for key, add_or_subtract in self._masks
        ]


def _opened(key: AES, keystream: Keystream, offset: int, word_bytes: int) -> CipherContext:
    segment, within = divmod(offset, SEGMENT_WORDS)
    nonce = segment.to_bytes(12)
    if within == 0 and keystream is Keystream.GCM:
        return Cipher(key, GCM(nonce)).encryptor()
    block, skip = divmod(within * word_bytes, _BLOCK_BYTES)
    cipher = Cipher(key, CTR(nonce + (2 + block).to_bytes(4))).encryptor()
    cipher.update(bytes(skip))
    return cipher


def _chunks(offset: int, size: int, word_bytes: int) -> Iterator[tuple[int, int]]:
    """[start, stop) ranges that cover the words and cross no segment."""
    end = offset + size
    while offset < end:
        segment_end = offset - offset % SEGMENT_WORDS + SEGMENT_WORDS
        stop = min(end, segment_end, offset + _CHUNK_BYTES // word_bytes)
        yield offset, stop
        offset = stop


def by_segment(
    masks: Sequence[Mask], words: Words, keystream: Keystream = Keystream.GCM
) -> list[Callable[[], None]]:
    """Jobs that together apply the masks to a whole vector: in any order, on any threads."""

    def segment(start: int) -> None:
        Masks(masks, keystream).apply(words[start : start + SEGMENT_WORDS], start)

    return [partial(segment, start) for start in range(0, words.size, SEGMENT_WORDS)]


def faster_keystream(timer: Callable[[], float]) -> Keystream:
    """Which way is faster on this machine; a few milliseconds. `timer` returns seconds."""
    words = np.zeros(SEGMENT_WORDS, "<u4")
    taken_s: dict[Keystream, float] = {}
    for keystream in (*Keystream, *Keystream):  # twice: the first round warms up
        masks = Masks([Mask(bytes(32), 1)], keystream)
        start_s = timer()
        masks.apply(words, 0)
        taken_s[keystream] = timer() - start_s
    return min(taken_s, key=lambda keystream: taken_s[keystream])
