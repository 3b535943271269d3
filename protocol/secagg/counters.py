"""Small sums packed several to a word of the ring: votes cost bits, not words.

Each field is wide enough for the largest sum over all clients, so that adding words adds fields and
nothing spills over; under masks the words look like any others.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from protocol.errors import LocalError, ProtocolError
from protocol.secagg.ring import Words, word_type


@dataclass(frozen=True, slots=True)
class PackedCounters:
    """`length` fields whose sums are at most `largest_sum`, in words of `ring_bits`."""

    length: int
    largest_sum: int
    ring_bits: int
    bits: int = field(init=False)
    """Of a field."""

    def __post_init__(self) -> None:
        word_type(self.ring_bits)
        if self.length < 0 or self.largest_sum < 1:
            raise LocalError("counters need a length and a largest sum of at least 1")
        bits = self.largest_sum.bit_length()
        if bits > self.ring_bits:
            raise LocalError(f"sums up to {self.largest_sum} need more than {self.ring_bits} bits")
        object.__setattr__(self, "bits", bits)

    @property
    def per_word(self) -> int:
        return self.ring_bits // self.bits

    @property
    def words(self) -> int:
        return -(-self.length // self.per_word)

    def pack(self, values: NDArray[np.int64]) -> Words:
        """One client's own; LocalError unless each lies in [0, largest_sum]."""
        if values.shape != (self.length,):
            raise LocalError(f"expected {self.length} counters, got {list(values.shape)}")
        if values.size and not 0 <= values.min() <= values.max() <= self.largest_sum:
            raise LocalError(f"a counter lies outside [0, {self.largest_sum}]")
        grouped = np.zeros(self.words * self.per_word, np.uint64)
        grouped[: self.length] = values
        merged = np.zeros(self.words, np.uint64)
        for place, column in enumerate(grouped.reshape(self.words, self.per_word).T):
            merged |= column << np.uint64(place * self.bits)
        return merged.astype(word_type(self.ring_bits))

    def unpack(self, words: Words) -> NDArray[np.int64]:
        """The sums; ProtocolError for words of another length."""
        if words.shape != (self.words,):
            raise ProtocolError(f"expected {self.words} words of counters, got {words.size}")
        whole = words.astype(np.uint64)
        low = np.uint64((1 << self.bits) - 1)
        columns = [(whole >> np.uint64(place * self.bits)) & low for place in range(self.per_word)]
        return np.stack(columns, axis=1).reshape(-1)[: self.length].astype(np.int64)
