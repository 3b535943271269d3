"""How many shares must recover a secret. Too few and corrupt clients read updates; too many and
the loss of a few clients ends the round."""

from protocol.errors import LocalError


def default_threshold(clients: int) -> int:
    """⌊2n/3⌋ + 1 (Bonawitz et al., §6): holds against an active coordinator together with fewer
    than n/3 corrupt clients."""
    if clients < 2:
        raise LocalError("a secure sum needs at least two participants")
    return 2 * clients // 3 + 1


SMALLEST_CROWD = 2
"""Honest clients that a sum must be over, at least, if it may become known by itself."""


def check_threshold(
    clients: int,
    threshold: int,
    corrupt: int = 0,
    active: bool = False,
    crowd: int = SMALLEST_CROWD,
) -> None:
    """Refuse, with the bound missed, a threshold that `corrupt` clients and the coordinator break.

    Semi-honest: the corrupt must not reach it (t > corrupt), and one share alone must not be the
    secret (t ≥ 2). Active: two groups of honest clients told different lists of survivors, each
    joined by the corrupt, must not both reach it: 2t > n + corrupt. And a sum that becomes known is
    over t clients at least, of whom `crowd` must be honest (t ≥ corrupt + crowd): the coordinator
    chooses who takes part, so it could plan a sum of all the corrupt and a few others.
    """
    check_crowd(crowd)
    if threshold > clients:
        raise LocalError(f"threshold {threshold} is more than the {clients} participants")
    if threshold < 2:
        raise LocalError(f"threshold {threshold} is below 2: a single share would be the secret")
    if threshold <= corrupt:
        raise LocalError(f"threshold {threshold} must exceed the {corrupt} corrupt clients")
    if active and 2 * threshold <= clients + corrupt:
        raise LocalError(
            f"threshold {threshold} must exceed (participants + corrupt) / 2 ="
            f" {(clients + corrupt) / 2:g} against an active coordinator"
        )
    if active and threshold < corrupt + crowd:
        raise LocalError(
            f"threshold {threshold} must be at least the {corrupt} corrupt clients + {crowd}"
            f" against an active coordinator: a sum could be over fewer than {crowd} honest clients"
        )


def check_crowd(crowd: int) -> None:
    if crowd < SMALLEST_CROWD:
        raise LocalError(f"a crowd of {crowd} hides nobody: at least {SMALLEST_CROWD}")
