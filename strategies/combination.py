"""Two strategies as one: what is done about stragglers, and what is pruned for everybody.

The first says who takes part and which neurons a client trains, the second which weights of the
model survive. They meet where a client trains its neurons' surviving weights, and nowhere else.
"""

from dataclasses import replace

from strategies.interface import Strategy


class CannotCombine(ValueError):
    """Why not, in one line."""


def combined(*parts: Strategy) -> Strategy:
    """`remedy+sparsifier`. Raises CannotCombine."""
    for strategy in parts:
        if strategy.alone:
            raise CannotCombine(f"{strategy.name} stands alone: {strategy.alone}")
    if [part.pruning is None for part in parts] != [True, False]:
        raise CannotCombine(
            "a combination is one strategy about stragglers + one that prunes for everybody"
        )
    remedy, sparsifier = parts
    return replace(
        remedy,
        name=f"{remedy.name}+{sparsifier.name}",
        describe=f"{remedy.name} within {sparsifier.name}'s surviving weights",
        pruning=sparsifier.pruning,
    )
