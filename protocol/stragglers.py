"""Who is a straggler: the one rule, used by clients on themselves and by reports on everybody.

A client is a straggler if it is among the slowest share of the fleet *and* more than a margin
above the slowest of the rest, so that a uniform fleet has none (our choice; CLIP, arXiv
2510.16694, takes the slowest 20 %; the 10 % margin is FLuID's, arXiv 2307.02623).
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """`stragglers`: their ids, slowest first. `target_s`: the slowest of all the others."""

    stragglers: tuple[int, ...]
    target_s: float


def most_stragglers(clients: int, share: float) -> int:
    """How many of so many clients may be stragglers: `share` in [0, 1), rounded down, at least
    one, and never everybody."""
    if clients < 2 or share <= 0:
        return 0
    return max(1, int(share * clients + 1e-9))  # 0.29 * 100 falls just short


def find_stragglers(times_s: Mapping[int, float], share: float, margin: float) -> Verdict:
    """Apply the rule to each client's full-model round time in seconds.

    `share` of the fleet may be stragglers (`most_stragglers`); each must exceed the slowest client
    outside that share by more than `margin` (0.1 = 10 %).
    """
    slowest_first = sorted(times_s, key=lambda client: (-times_s[client], client))
    suspects = most_stragglers(len(slowest_first), share)
    if not suspects:
        return Verdict((), max(times_s.values(), default=0.0))
    bound_s = times_s[slowest_first[suspects]] * (1 + margin)
    stragglers = tuple(c for c in slowest_first[:suspects] if times_s[c] > bound_s)
    others = slowest_first[len(stragglers) :]
    return Verdict(stragglers, times_s[others[0]])
