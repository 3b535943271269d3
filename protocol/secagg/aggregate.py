"""The running sum of vectors: one vector of words, however many clients.

Serves plain and masked aggregation alike: addition in the ring does not care. Add a vector only
once it is complete and its checksum agrees, because nothing can be taken out again. It knows no
client, file or socket.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor

import numpy as np

from protocol.errors import LocalError, ProtocolError
from protocol.secagg import cost
from protocol.secagg.masks import Keystream, Mask, by_segment
from protocol.secagg.packing import packed_size, unpack
from protocol.secagg.ring import Words, word_type
from protocol.work import Tally

_CHUNK_WORDS = 65_536


class Aggregate:
    """The sum modulo 2^ring_bits of vectors of `length` words. `tally`: what the last step took."""

    def __init__(self, length: int, ring_bits: int) -> None:
        self.length = length
        self.ring_bits = ring_bits
        self.vectors = 0
        """How many whole vectors are in."""
        self.tally: Tally = {}
        self._sum: Words = np.zeros(length, word_type(ring_bits))

    @property
    def packed_size(self) -> int:
        """Bytes that one whole vector has on the wire."""
        return packed_size(self.length, self.ring_bits)

    def add(self, packed: bytes | bytearray | memoryview) -> None:
        """Add one whole vector, packed. A file is best mapped into memory and passed as a view."""
        if len(packed) != self.packed_size:
            raise ProtocolError(f"a vector has {len(packed)} bytes instead of {self.packed_size}")
        view = memoryview(packed)
        for start in range(0, self.length, _CHUNK_WORDS):
            stop = min(self.length, start + _CHUNK_WORDS)
            first, last = (packed_size(at, self.ring_bits) for at in (start, stop))
            chunk = self._sum[start:stop]
            np.add(chunk, unpack(view[first:last], self.ring_bits), out=chunk)
        self.vectors += 1
        self.tally = {}

    def remove(
        self,
        masks: Sequence[Mask],
        keystream: Keystream = Keystream.GCM,
        executor: Executor | None = None,
    ) -> None:
        """Apply masks that the server machine worked out; on the executor's threads, if any."""
        jobs = self.removal(masks, keystream)
        if executor is None:
            for job in jobs:
                job()
        else:
            for future in [executor.submit(job) for job in jobs]:
                future.result()

    def removal(
        self, masks: Sequence[Mask], keystream: Keystream = Keystream.GCM
    ) -> list[Callable[[], None]]:
        """`remove` as jobs, each for a part of the vector: in any order, on any threads."""
        if not self.vectors:
            raise LocalError("there is no vector to remove masks from")
        self.tally = cost.masks(len(masks), self._sum.nbytes)
        return by_segment(masks, self._sum, keystream)

    @property
    def words(self) -> Words:
        """The sum, read-only; bits above the ring's are meaningless (`FixedPoint` ignores them)."""
        view = self._sum[:]
        view.flags.writeable = False
        return view
