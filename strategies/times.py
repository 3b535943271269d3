"""The note: what clients tell one another about their speed, and what one concludes from it.

Both times are full-model equivalents, so that a pruned client's short round does not make it look
fast. Peers may lie: what is malformed or implausible is ignored and counted, and the rule takes
quantiles of the rest.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from protocol.stragglers import find_stragglers

_NOTE = struct.Struct(">Bdd")  # fixed length: the size of a sealed note tells nothing
_VERSION = 1
LONGEST_S = 7 * 86_400.0
"""Bound on a plausible time: a week. Our choice; a larger one is no measurement."""
SHORTEST_FIT_S = 1e-6


class TimesError(ValueError):
    """A note is malformed, or a measured time is not a time."""


@dataclass(frozen=True, slots=True)
class Times:
    """One client's seconds for a round with the full model."""

    fit_s: float
    network_s: float

    @property
    def total_s(self) -> float:
        return self.fit_s + self.network_s

    @classmethod
    def measured(cls, fit_s: float, network_s: float) -> "Times":
        """One's own times, brought within the bounds that peers check."""
        if not (math.isfinite(fit_s) and fit_s >= 0 and math.isfinite(network_s)):
            raise TimesError(f"measured times: not finite and positive: {fit_s}, {network_s}")
        if network_s < 0:
            raise TimesError(f"measured times: network_s: negative: {network_s}")
        return cls(min(max(fit_s, SHORTEST_FIT_S), LONGEST_S), min(network_s, LONGEST_S))


def encode_note(times: Times) -> bytes:
    return _NOTE.pack(_VERSION, times.fit_s, times.network_s)


def decode_note(note: bytes) -> Times:
    """Raises TimesError for anything that `encode_note` would not send."""
    if len(note) != _NOTE.size:
        raise TimesError(f"note: expected {_NOTE.size} bytes, got {len(note)}")
    version, fit_s, network_s = _NOTE.unpack(note)
    if version != _VERSION:
        raise TimesError(f"note: expected version {_VERSION}, got {version}")
    if not SHORTEST_FIT_S <= fit_s <= LONGEST_S:
        raise TimesError("note: fit_s out of bounds")
    if not 0 <= network_s <= LONGEST_S:
        raise TimesError("note: network_s out of bounds")
    return Times(fit_s, network_s)


def read_notes(notes: Mapping[int, bytes]) -> tuple[dict[int, Times], int]:
    """The usable times by client, and how many notes had to be ignored (empty ones say nothing
    and are no fault)."""
    times: dict[int, Times] = {}
    ignored = 0
    for client, note in notes.items():
        if not note:
            continue
        try:
            times[client] = decode_note(note)
        except TimesError:
            ignored += 1
    return times, ignored


@dataclass(frozen=True, slots=True)
class Standing:
    """One client against those it knows of. Targets are over the non-stragglers."""

    straggler: bool
    target_total_s: float
    target_fit_s: float


def standing(client: int, times: Mapping[int, Times], share: float, margin: float) -> Standing:
    """Apply the straggler rule to oneself; `times` includes one's own."""
    totals = {peer: known.total_s for peer, known in times.items()}
    verdict = find_stragglers(totals, share, margin)
    others = [known.fit_s for peer, known in times.items() if peer not in verdict.stragglers]
    return Standing(client in verdict.stragglers, verdict.target_s, max(others))
