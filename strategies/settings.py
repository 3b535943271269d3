"""What a run may set about its strategy, checked once so that no strategy needs to check again."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

EVIDENCE = ("local", "global")
SCOPES = ("global", "layer")
VOTE_MEANS = ("zeros", "voters")
MOST_SPARSE = 0.99


class SettingsError(ValueError):
    """A strategy setting breaks its rule: one line with key, rule and value."""


@dataclass(frozen=True, slots=True)
class StrategySettings:
    straggler_share: float = 0.2
    """Share of the fleet that may be stragglers, rounded down, at least one client."""
    straggler_margin: float = 0.1
    """How far above the slowest other client a straggler must be (0.1 = 10 %)."""
    min_keep: float = 0.25
    """Smallest share of each hidden layer's neurons that a straggler trains."""
    warmup_rounds: int = 2
    """Rounds 1 to this one are trained by everybody and in full."""
    evidence: str = "local"
    """What tells invariant neurons: the client's own update, or the global model's change."""
    renewal_rounds: int = 5
    """Longest run of rounds for which a neuron, or an excluded client, is left out."""
    deadline_s: float | None = None
    """After warm-up, seconds from the plan until a round takes no more vectors; derived if None."""
    threshold_step: float = 0.2
    """`fluid`: what its threshold grows by, and how often after which round (FLuID's figures for
    CIFAR-10; FEMNIST 0.01 every 10 after 125, Shakespeare 1.0 every 3 after 20)."""
    threshold_every: int = 2
    threshold_after: int = 10
    threshold_per_layer: bool = False
    """`fluid`: a threshold for each layer (FLuID's CIFAR-10) instead of one for all."""
    seed: int = 0
    keep_step: float = 0.01
    """Grid of keep ratios: 1, 1 - step, ... down to min_keep."""
    threshold_growth: float = 1.2
    """Factor by which the invariance threshold grows until enough neurons qualify."""
    sparsity: float = 0.95
    """Share of the weights that is pruned in the end."""
    sparsity_rounds: int | None = None
    """The round that ends with that share; a run's last one unless told."""
    sparsity_start: int = 1
    """The last round without pruning (t0 of the schedule)."""
    sparsity_every: int = 1
    """Rounds from one step of the schedule to the next (F)."""
    sparsity_exponent: float = 3.0
    """How much sooner than evenly weights are pruned (n)."""
    sparsity_scope: str = "global"
    """One magnitude threshold over the model, or one for each `layer`'s tensors."""
    prune_biases: bool = True
    """Whether biases and norm parameters are pruned like weights, as the source does."""
    vote_mean: str = "zeros"
    """`fedsparsify-local`: the mean takes who does not keep a weight for a zero, or is over
    the `voters` only."""
    one_shot_round: int | None = None
    """`one-shot`: the round that ends with all of the pruning; 10 before the last unless told."""

    def __post_init__(self) -> None:
        """Raises SettingsError for the first field that breaks its rule."""
        for field in fields(self):
            rule, holds = _RULES[field.name]
            value = getattr(self, field.name)
            if not holds(value):
                raise SettingsError(f"strategy: {field.name}: must be {rule}, got {value!r}")


_Rule = tuple[str, Callable[[Any], bool]]


def _number(rule: str, holds: Callable[[float], bool]) -> _Rule:
    def check(value: object) -> bool:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and math.isfinite(value) and holds(value)  # type: ignore[arg-type]

    return f"a number {rule}", check


def _integer(least: int) -> _Rule:
    return f"an integer of at least {least}", lambda value: type(value) is int and value >= least


def _or_none(rule: _Rule) -> _Rule:
    return f"None or {rule[0]}", lambda value: value is None or rule[1](value)


def _one_of(choices: tuple[str, ...]) -> _Rule:
    return f"one of {', '.join(choices)}", lambda value: value in choices


_POSITIVE = _number("above 0", lambda value: value > 0)[1]
_RULES: dict[str, _Rule] = {
    "straggler_share": _number("in [0, 1)", lambda value: 0 <= value < 1),
    "straggler_margin": _number("of at least 0", lambda value: value >= 0),
    "min_keep": _number("in (0, 1]", lambda value: 0 < value <= 1),
    "warmup_rounds": _integer(0),
    "evidence": _one_of(EVIDENCE),
    "renewal_rounds": _integer(1),
    "deadline_s": (
        "None or a positive number of seconds",
        lambda value: value is None or _POSITIVE(value),
    ),
    "threshold_step": _number("of at least 0", lambda value: value >= 0),
    "threshold_every": _integer(1),
    "threshold_after": _integer(0),
    "threshold_per_layer": ("true or false", lambda value: type(value) is bool),
    "seed": _integer(0),
    # A grid finer than 1e-4 costs time at start and tells no sub-model of these sizes apart.
    "keep_step": _number("in [0.0001, 1]", lambda value: 1e-4 <= value <= 1),
    "threshold_growth": _number("of at least 1.01", lambda value: value >= 1.01),
    "sparsity": _number(f"in [0, {MOST_SPARSE}]", lambda value: 0 <= value <= MOST_SPARSE),
    "sparsity_rounds": _or_none(_integer(1)),
    "sparsity_start": _integer(0),
    "sparsity_every": _integer(1),
    "sparsity_exponent": _number("above 0", lambda value: value > 0),
    "sparsity_scope": _one_of(SCOPES),
    "prune_biases": ("true or false", lambda value: type(value) is bool),
    "vote_mean": _one_of(VOTE_MEANS),
    "one_shot_round": _or_none(_integer(1)),
}
