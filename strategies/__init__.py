"""What can be done about stragglers: one strategy a file, all of them in one table.

Strategies see what their party may know (notes, arrivals, its own rounds), never single updates of
others or telemetry. This table is the only place where names are looked up.
"""

from collections.abc import Mapping

from strategies.clip import CLIP
from strategies.clip_network import CLIP_NETWORK
from strategies.deadline import DEADLINE
from strategies.exclude import EXCLUDE
from strategies.fluid import FLUID
from strategies.interface import Strategy
from strategies.none import NONE
from strategies.ordered_dropout import ORDERED_DROPOUT
from strategies.random_dropout import RANDOM_DROPOUT

STRATEGIES: Mapping[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        *(NONE, EXCLUDE, DEADLINE, RANDOM_DROPOUT, ORDERED_DROPOUT),
        *(CLIP, CLIP_NETWORK, FLUID),
    )
}

NOT_BUILT_YET = ("fedsparsify-global", "fedsparsify-local")


class UnknownStrategy(ValueError):
    """No strategy of that name can be run: one line with the names that can."""


def lookup(name: str) -> Strategy:
    """Raises UnknownStrategy, also for known strategies and combinations not built yet."""
    if name in STRATEGIES:
        return STRATEGIES[name]
    parts = name.split("+")
    known = all(part in STRATEGIES or part in NOT_BUILT_YET for part in parts)
    fault = "not built yet" if known else "no strategy of that name"
    raise UnknownStrategy(f"strategy: {name}: {fault}; choose from {', '.join(STRATEGIES)}")
