"""What can be done about stragglers: one strategy a file, all of them in one table.

Strategies see what their party may know (notes, arrivals, its own rounds), never single updates of
others or telemetry. This table is the only place where names are looked up.
"""

from collections.abc import Mapping

from strategies.clip import CLIP
from strategies.clip_network import CLIP_NETWORK
from strategies.combination import CannotCombine, combined
from strategies.deadline import DEADLINE
from strategies.exclude import EXCLUDE
from strategies.fedsparsify import FEDSPARSIFY_GLOBAL, FEDSPARSIFY_LOCAL
from strategies.fluid import FLUID
from strategies.interface import Strategy
from strategies.none import NONE
from strategies.ordered_dropout import ORDERED_DROPOUT
from strategies.random_dropout import RANDOM_DROPOUT
from strategies.sparse_baselines import ONE_SHOT, RANDOM_GRADUAL, SNIP

STRATEGIES: Mapping[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        *(NONE, EXCLUDE, DEADLINE, RANDOM_DROPOUT, ORDERED_DROPOUT),
        *(CLIP, CLIP_NETWORK, FLUID, FEDSPARSIFY_GLOBAL, FEDSPARSIFY_LOCAL),
        *(ONE_SHOT, RANDOM_GRADUAL, SNIP),
    )
}


class UnknownStrategy(ValueError):
    """No strategy of that name can be run: one line with the names that can."""


def lookup(name: str) -> Strategy:
    """A strategy of the table, or two of them as one: `A+B`. Raises UnknownStrategy."""
    if name in STRATEGIES:
        return STRATEGIES[name]
    parts = name.split("+")
    try:
        if len(parts) > 1 and all(part in STRATEGIES for part in parts):
            return combined(*[STRATEGIES[part] for part in parts])
        fault = "no strategy of that name"
    except CannotCombine as error:
        fault = str(error)
    raise UnknownStrategy(f"strategy: {name}: {fault}; choose from {', '.join(STRATEGIES)}")
