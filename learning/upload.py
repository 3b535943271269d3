"""Where in a client's vector of ring elements what lies.

[values of the update] [participation counts] [share of clipped values] [votes] [votes by weight]:
the values of those coordinates that travel, the rest always whole. Votes are there where clients
prune. Must not know masks, rounds or how values are chosen.
"""

from dataclasses import dataclass
from typing import Literal

from protocol.secagg.counters import PackedCounters
from protocol.secagg.ring import FixedPoint

Votes = Literal["none", "count", "weight"]
"""Of each coordinate that travels: nothing, how many clients keep it, or also of which weight they
are."""


@dataclass(frozen=True, slots=True)
class UploadLayout:
    values: int
    """Coordinates that travel."""
    counts: PackedCounters
    """Participation counts (`learning.layout`)."""
    votes: PackedCounters | None = None
    vote_weights: PackedCounters | None = None

    @classmethod
    def of(cls, values: int, counts: int, votes: Votes, numbers: FixedPoint) -> "UploadLayout":
        """`counts`: how many there are. Raises LocalError if the ring is too narrow for a sum of
        weights."""
        most, bits = numbers.max_clients * numbers.max_weight, numbers.ring_bits
        heads, weights = None, None
        if votes != "none":
            heads = PackedCounters(values, numbers.max_clients, bits)
        if votes == "weight":
            weights = PackedCounters(values, most, bits)
        return cls(values, PackedCounters(counts, most, bits), heads, weights)

    @property
    def counts_at(self) -> slice:
        return slice(self.values, self.values + self.counts.words)

    @property
    def share_at(self) -> int:
        return self.values + self.counts.words

    @property
    def votes_at(self) -> slice:
        start = self.share_at + 1
        return slice(start, start + _words(self.votes))

    @property
    def vote_weights_at(self) -> slice:
        return slice(self.share_at + 1 + _words(self.votes), self.words)

    @property
    def words(self) -> int:
        """Length of the whole vector."""
        return self.share_at + 1 + _words(self.votes) + _words(self.vote_weights)


def _words(counters: PackedCounters | None) -> int:
    return 0 if counters is None else counters.words
