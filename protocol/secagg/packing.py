"""Words to bytes and back: exactly ring_bits / 8 bytes a word, little-endian.

Bit-packing in groups: as many words as fill a whole number of containers are merged with shifts
(24 bits: 4 words in 3 containers of 32; 40 bits: 8 in 5 of 64), a column at a time for all groups.
Call it on chunks: its temporaries are of the size of its argument.
"""

from collections.abc import Iterator
from math import gcd

import numpy as np

from protocol.errors import LocalError, ProtocolError
from protocol.secagg.ring import Words, word_type


def packed_size(words: int, ring_bits: int) -> int:
    """Bytes of so many packed words."""
    word_type(ring_bits)
    return words * ring_bits // 8


def pack(words: Words, ring_bits: int) -> memoryview:
    """The words' bytes; shares memory with `words` where the ring fills its container."""
    container = word_type(ring_bits)
    if words.dtype != container:
        raise LocalError(f"words must be {container}, not {words.dtype}")
    bits = 8 * container.itemsize
    if ring_bits == bits:
        return np.ascontiguousarray(words).view(np.uint8).data
    per_group, containers = _group(ring_bits, bits)
    groups = -(-words.size // per_group)
    padded = np.zeros((groups, per_group), container)
    np.bitwise_and(words, container.type(2**ring_bits - 1), out=padded.reshape(-1)[: words.size])
    merged = np.zeros((groups, containers), container)
    for index, column, shift in _places(ring_bits, bits):
        merged[:, column] |= _shifted(padded[:, index], shift)
    return merged.reshape(-1).view(np.uint8)[: packed_size(words.size, ring_bits)].data


def unpack(data: bytes | bytearray | memoryview, ring_bits: int) -> Words:
    """The words in `data`, possibly read-only; ProtocolError unless it holds whole words."""
    container = word_type(ring_bits)
    size = len(data)
    if size % (ring_bits // 8):
        raise ProtocolError(f"{size} bytes are no whole number of {ring_bits}-bit words")
    bits = 8 * container.itemsize
    if ring_bits == bits:
        return np.frombuffer(data, container)
    per_group, containers = _group(ring_bits, bits)
    count = size * 8 // ring_bits
    groups = -(-count // per_group)
    merged = np.zeros((groups, containers), container)
    merged.reshape(-1).view(np.uint8)[:size] = np.frombuffer(data, np.uint8)
    words = np.zeros((groups, per_group), container)
    for index, column, shift in _places(ring_bits, bits):
        words[:, index] |= _shifted(merged[:, column], -shift)
    words &= container.type(2**ring_bits - 1)
    return words.reshape(-1)[:count]


def _group(ring_bits: int, bits: int) -> tuple[int, int]:
    """(words, containers) of the smallest group without a remainder."""
    common = gcd(ring_bits, bits)
    return bits // common, ring_bits // common


def _places(ring_bits: int, bits: int) -> Iterator[tuple[int, int, int]]:
    """(word, container, left shift) for each container that a word of the group touches."""
    for index in range(_group(ring_bits, bits)[0]):
        column, shift = divmod(index * ring_bits, bits)
        yield index, column, shift
        if shift + ring_bits > bits:
            yield index, column + 1, shift - bits


def _shifted(column: Words, left: int) -> Words:
    amount = column.dtype.type(abs(left))
    return column << amount if left >= 0 else column >> amount
