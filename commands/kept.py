"""Which rounds' updates a run keeps, as `keep_updates` says it; checked before the run begins."""

from commands.errors import BadInput
from commands.settings import RunSettings

NONE, LAST = "none", "last"


def rounds_kept(settings: RunSettings) -> frozenset[int]:
    """Raises BadInput for what is none of the run's rounds, and where there is nothing to keep."""
    asked = settings.keep_updates
    if asked == NONE:
        return frozenset()
    if settings.aggregation != "plain":
        raise BadInput(
            f"keep_updates: {asked}: under {settings.aggregation} the coordinator sees the sum and"
            " no single update: aggregation=plain"
        )
    if settings.training == "modelled":
        raise BadInput(f"keep_updates: {asked}: modelled training has no updates")
    if asked == LAST:
        return frozenset((settings.rounds,))
    rounds = asked.split(",")
    if not all(each.strip().isdecimal() and 1 <= int(each) <= settings.rounds for each in rounds):
        raise BadInput(
            f"keep_updates: must be {NONE}, {LAST}, or rounds from 1 to {settings.rounds} with"
            f" commas between, got {asked!r}"
        )
    return frozenset(map(int, rounds))


def said_of(rounds: frozenset[int], clients: int, parameters: int) -> str:
    """What it will take."""
    size = 4 * parameters * (clients + 1) * len(rounds)
    listed = ", ".join(map(str, sorted(rounds)))
    return (
        f"keep_updates: updates of {clients} clients in round {listed}: at most {size / 1e6:.1f} MB"
        " below updates/"
    )
