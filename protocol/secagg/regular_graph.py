"""The k-regular graph of SecAgg+ (Bell et al., CCS 2020, eprint 2020/704), and which k and t are
safe on it.

A ring over a random permutation of the participants, each joined to the k/2 next on both sides
(a Harary graph). The permutation is the coordinator's to draw, which suffices while it is
semi-honest: whoever is corrupt or lost must not depend on it. Only neighbours mask with each other
and hold shares, so a client's work grows with log n instead of n.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from math import log2

from protocol.errors import LocalError
from protocol.secagg.graph import ascending
from protocol.secagg.keys import Sum
from protocol.secagg.tails import (
    CORRECTNESS_BITS,
    SECURITY_BITS,
    fraction_of,
    log2_choose,
    log2_tail,
)
from protocol.sizes import GRAPH_SEED_BYTES

_LABEL = b"straggler-testbed/v1/graph\0"


class RegularGraph:
    """Everyone with its k neighbours on the ring; no client holds shares of its own secrets."""

    def __init__(self, clients: Sequence[int], degree: int, order: Sequence[int]) -> None:
        """`order`: the participants as they sit on the ring."""
        self._clients = ascending(clients)
        if sorted(order) != list(self._clients):
            raise LocalError("the ring must hold every participant once")
        if degree < 2 or degree % 2 or degree >= len(order):
            raise LocalError(
                f"neighbours must be even, at least 2 and below the {len(order)} participants,"
                f" not {degree}"
            )
        self._degree = degree
        reach = [step for step in range(-degree // 2, degree // 2 + 1) if step]
        self._neighbours = {
            client: tuple(sorted(order[(place + step) % len(order)] for step in reach))
            for place, client in enumerate(order)
        }

    @classmethod
    def drawn(cls, clients: Sequence[int], degree: int, seed: bytes, sum_: Sum) -> "RegularGraph":
        """The graph that a seed gives: participants in the order of a pseudo-random tag each."""
        if len(seed) != GRAPH_SEED_BYTES:
            raise LocalError(f"a graph's seed must be {GRAPH_SEED_BYTES} bytes, not {len(seed)}")
        prefix = _LABEL + sum_.encoded()
        tags = {c: hmac.digest(seed, prefix + c.to_bytes(4), "sha256") for c in ascending(clients)}
        return cls(clients, degree, sorted(clients, key=lambda client: tags[client]))

    @property
    def clients(self) -> tuple[int, ...]:
        return self._clients

    def neighbours(self, client: int) -> tuple[int, ...]:
        return self._neighbours[client]

    def holders(self, client: int) -> tuple[int, ...]:
        return self._neighbours[client]

    def owners(self, client: int) -> tuple[int, ...]:
        return self._neighbours[client]

    @property
    def fewest_holders(self) -> int:
        return self._degree


@dataclass(frozen=True, slots=True)
class Risks:
    """What may go wrong at random, as base-2 logarithms of probabilities (upper bounds)."""

    collusion: float
    """Some client has as many corrupt neighbours as it takes shares."""
    separation: float
    """The honest survivors fall into parts, whose sums would be known one by one."""
    shortage: float
    """Some client keeps fewer surviving neighbours than it takes shares."""


def risks(clients: int, degree: int, threshold: int, corrupt: float, lost: float) -> Risks:
    """Exact hypergeometric tails, with a union over clients; `corrupt`, `lost`: fractions.

    A ring with reach k/2 falls apart only if two disjoint runs of k/2 are all corrupt or lost:
    the union is over pairs of places. The paper's Lemma 3.7 bounds one run, which is weaker.
    """
    bad, gone = fraction_of(corrupt, clients), fraction_of(lost, clients)
    others = clients - 1
    missing = min(clients, bad + gone)
    separation = log2_choose(clients, 2) + (
        log2_choose(clients - degree, missing - degree) - log2_choose(clients, missing)
    )
    return Risks(
        collusion=log2(clients) + log2_tail(others, bad, degree, threshold),
        separation=separation,
        shortage=log2(clients) + log2_tail(others, gone, degree, degree - threshold + 1),
    )


def check_degree(clients: int, degree: int, threshold: int, corrupt: float, lost: float) -> None:
    """Refuse settings that miss a bound, with the bound."""
    found = risks(clients, degree, threshold, corrupt, lost)
    bounds = (
        ("corrupt neighbours reach the threshold", found.collusion, SECURITY_BITS),
        ("the survivors fall into parts", found.separation, SECURITY_BITS),
        ("too few neighbours survive", found.shortage, CORRECTNESS_BITS),
    )
    for what, bits, bound in bounds:
        if bits > -bound:
            raise LocalError(
                f"{degree} neighbours and threshold {threshold} among {clients} clients,"
                f" {corrupt:.0%} corrupt, {lost:.0%} lost: {what} with probability up to"
                f" 2^{min(bits, 0):.1f}, above 2^-{bound}"
            )


def choose_degree(clients: int, corrupt: float, lost: float) -> tuple[int, int]:
    """The fewest neighbours, and their smallest threshold, that keep all three bounds."""
    for degree in range(2, clients, 2):
        found = (risks(clients, degree, t, corrupt, lost) for t in range(2, degree + 1))
        # Once too few survive for a threshold, they do for all higher ones.
        for threshold, at in enumerate(takewhile(_holds_together, found), start=2):
            if at.collusion <= -SECURITY_BITS:
                return degree, threshold
    raise LocalError(
        f"no number of neighbours among {clients} clients is safe with {corrupt:.0%} corrupt and"
        f" {lost:.0%} lost: use the complete graph, secagg"
    )


def _holds_together(found: Risks) -> bool:
    return found.shortage <= -CORRECTNESS_BITS and found.separation <= -SECURITY_BITS
