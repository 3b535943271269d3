"""How many neighbours to choose, and how many shares recover a secret, where the coordinator is
active and clients choose (Bell et al., CCS 2020, §4): the bounds, computed exactly.

Corrupt clients are a number here and no fraction of the participants: the coordinator plans who
takes part, so all of them may. Losses are taken to be independent of the choices for the sake of
*correctness* only; whoever is declared lost at will gains nothing against the other two bounds,
which hold for all sets of clients at once.
"""

from dataclasses import dataclass
from functools import cache

from protocol.errors import LocalError
from protocol.secagg.tails import (
    CORRECTNESS_BITS,
    SECURITY_BITS,
    fraction_of,
    log2_choose,
    log2_sum,
    log2_tail,
)
from protocol.secagg.threshold import SMALLEST_CROWD, check_crowd

ELSEWHERE = "the complete graph, secagg, keeps all survivors together"


@dataclass(frozen=True, slots=True)
class Foes:
    """What is assumed of one sum's participants."""

    corrupt: int
    """Clients in league with the coordinator."""
    crowd: int = SMALLEST_CROWD
    """Honest clients that a sum must be over, at least, if it may become known by itself."""


def log2_exposure(clients: int, degree: int, threshold: int, foes: Foes) -> float:
    """Some client loses both its secrets, or one although it is certified to have survived.

    The honest among its holders say one thing each; t − b of them and t − b others are needed for
    both, b being its corrupt holders: none if 2t − k > b. A union over clients.
    """
    return _log2_few(clients, degree, threshold, (1, min(foes.corrupt, clients - 1)))


def log2_crowd(clients: int, degree: int, threshold: int, foes: Foes) -> float:
    """The sum over fewer than `crowd` honest clients becomes known apart from the rest.

    Of the t holders that open a client's vector, all that are honest have survived; its vector is
    masked with at least t of its k holders, so with 2t − k of those that opened it. Their masks
    hold unless they are corrupt or in the same sum. A union over all sets of each size, within
    which clients chose independently.
    """
    honest = clients - min(foes.corrupt, clients - 1)
    return log2_sum(
        _log2_few(honest, degree, threshold, (size, size - 1 + clients - honest), clients)
        for size in range(1, min(foes.crowd, honest + 1))
    )


def log2_shortage(clients: int, degree: int, threshold: int, lost: int) -> float:
    """Some client keeps fewer holders than it takes shares; a union over clients."""
    return log2_choose(clients, 1) + log2_tail(clients - 1, lost, degree, degree - threshold + 1)


def _log2_few(
    candidates: int, degree: int, threshold: int, sizes: tuple[int, int], clients: int = 0
) -> float:
    """Some set of `sizes[0]` candidates, each with 2t − k holders among `sizes[1]` clients."""
    members, marked = sizes
    others = (clients or candidates) - 1
    tail = log2_tail(others, marked, degree, 2 * threshold - degree)
    return log2_choose(candidates, members) + members * tail


def check_choice(clients: int, degree: int, threshold: int, foes: Foes) -> None:
    """What a client insists on, whatever the coordinator says. LocalError with the bound missed."""
    check_crowd(foes.crowd)
    bounds = (
        ("both secrets of a client come out", log2_exposure(clients, degree, threshold, foes)),
        (
            f"a sum over fewer than {foes.crowd} honest clients comes out",
            log2_crowd(clients, degree, threshold, foes),
        ),
    )
    for what, bits in bounds:
        _check(_settings(clients, degree, threshold, foes), what, bits, SECURITY_BITS)


def check_chosen_degree(clients: int, degree: int, threshold: int, foes: Foes, lost: float) -> None:
    """The same, and that a round is likely to succeed with that fraction of clients lost."""
    check_choice(clients, degree, threshold, foes)
    bits = log2_shortage(clients, degree, threshold, fraction_of(lost, clients))
    settings = f"{_settings(clients, degree, threshold, foes)}, {lost:.0%} lost"
    _check(settings, "too few of a client's neighbours survive", bits, CORRECTNESS_BITS)


def _settings(clients: int, degree: int, threshold: int, foes: Foes) -> str:
    return (
        f"{degree} chosen neighbours and threshold {threshold} among {clients} clients,"
        f" {foes.corrupt} corrupt"
    )


def _check(settings: str, what: str, bits: float, bound: int) -> None:
    if bits > -bound:
        raise LocalError(
            f"{settings}: {what} with probability up to 2^{min(bits, 0):.1f}, above 2^-{bound};"
            f" {ELSEWHERE}"
        )


@cache
def choose_chosen_degree(clients: int, foes: Foes, lost: float) -> tuple[int, int]:
    """The fewest neighbours (an even number, as on the ring) and the threshold with which they keep
    all three bounds. LocalError if none do."""
    check_crowd(foes.crowd)
    gone = fraction_of(lost, clients)
    for degree in range(2, clients, 2):
        threshold = _highest(clients, degree, gone)
        if threshold >= 2 and _safe(clients, degree, threshold, foes):
            # No smaller threshold t − 1 can do: (k − 2, t − 2) would have done before, as it needs
            # as many corrupt holders, and allows as many lost, among fewer.
            return degree, threshold
    raise LocalError(
        f"no number of chosen neighbours among {clients} clients is safe with {foes.corrupt}"
        f" corrupt, {lost:.0%} lost and a crowd of {foes.crowd}: {ELSEWHERE}"
    )


def _highest(clients: int, degree: int, gone: int) -> int:
    """The highest threshold that losses allow; higher ones are safer. 0: not even 1."""
    low, high = 0, degree
    while low < high:
        middle = (low + high + 1) // 2
        if log2_shortage(clients, degree, middle, gone) <= -CORRECTNESS_BITS:
            low = middle
        else:
            high = middle - 1
    return low


def _safe(clients: int, degree: int, threshold: int, foes: Foes) -> bool:
    exposure = log2_exposure(clients, degree, threshold, foes)
    return (
        exposure <= -SECURITY_BITS
        and log2_crowd(clients, degree, threshold, foes) <= -SECURITY_BITS
    )
