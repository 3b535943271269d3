"""What every strategy offers, and all it is shown.

A strategy has two halves. The coordinator's sees who joined and when uploads arrived, which no
coordinator can help seeing; the client's sees its peers' notes, the model it downloaded and its
own last round. Neither sees anybody's update or any telemetry.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from learning.layout import Counts
from learning.selection import Kept
from learning.structure import Keep, Structure, Vector
from strategies.pruning import Pruning
from strategies.rates import FitCurve
from strategies.settings import StrategySettings
from strategies.state import State


@dataclass(frozen=True, slots=True, eq=False)
class RoundView:
    """All that a client decides by. `notes` holds its peers' notes and its own, by client;
    `model` is the vector just downloaded, which nobody changes in place afterwards."""

    round: int
    client: int
    notes: Mapping[int, bytes]
    model: Vector
    instruction: bytes = b""
    """What the coordinator tells this client to train, where it may."""
    kept: Kept | None = None
    """Which weights survive, where some are pruned for everybody."""


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What this client trains this round, and why. An empty `keep` means the full model."""

    keep_ratio: float
    keep: Keep
    straggler: bool
    target_s: float | None
    """Slowest time among the others, of the kind that the strategy compares (see `reason`)."""
    predicted_s: float | None
    """This client's time of that kind under this decision."""
    reason: str
    relative_cost: float = 1.0
    """g(p): predicted fit time over the full model's. Measured fit / this = full equivalent."""
    ignored_notes: int = 0
    """Peers' notes that were malformed or implausible."""


FULL_MODEL: Keep = {}


def full(reason: str) -> Decision:
    """Train everything, with no times to compare."""
    return Decision(1.0, FULL_MODEL, False, None, None, reason)


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What the client measured in a round it was planned for.

    `update` is None if training was not finished. `network_s` is download from first to last byte
    plus upload from first byte to receipt; it is never shortened by pruning.
    """

    round: int
    decision: Decision
    update: Vector | None
    fit_s: float
    network_s: float
    computed: bool = True
    """Whether the update is what training gave; otherwise it is zero and only its time counts."""


@dataclass(frozen=True, slots=True)
class Cutoff:
    """Vectors that are not in `after_s` seconds from the plan are left out of the round's sum, once
    `at_least` others are in."""

    after_s: float
    at_least: int


class ServerHalf(Protocol):
    def participants(
        self, round_: int, joined: Sequence[int], arrivals: Mapping[int, float]
    ) -> Sequence[int]:
        """Who is planned for this round, ascending. `arrivals`: seconds from the plan to the whole
        upload, the latest known per client."""
        ...

    def left_out(self) -> Mapping[int, str]:
        """Who of the joined was left out by the last call, and why."""
        ...

    def cutoff(self, round_: int) -> Cutoff | None:
        """When the round stops waiting for vectors; None: whoever makes progress is waited for.
        Asked after `participants`."""
        ...

    def instruction(self, client: int) -> bytes:
        """What this client is told to train; empty: everything, or what it decides itself. Only
        ever sent under plain aggregation."""
        ...

    def see(self, client: int, model: Vector, update: Vector) -> None:
        """One client's update of `model`, for a strategy that `needs_plain`. Called off the event
        loop, one client at a time."""
        ...

    def state(self) -> State:
        """What must be kept to go on after a restart, as of now."""
        ...

    def restore(self, state: State) -> None:
        """Go on from there. Raises StateError if the state is none of this strategy's."""
        ...


class ClientHalf(Protocol):
    def note(self) -> bytes:
        """What to tell every peer, sealed; empty if there is nothing to say."""
        ...

    def decide(self, view: RoundView) -> Decision:
        """What to train. Called in every round, also again for another attempt at it."""
        ...

    def observe(self, outcome: Outcome) -> None:
        """Learn from a finished upload; of a round's attempts, the last one counts."""
        ...

    def state(self) -> State:
        """What must be kept to go on after a restart, as of now."""
        ...

    def restore(self, state: State) -> None:
        """Go on from there. Raises StateError if the state is none of this strategy's."""
        ...


@dataclass(frozen=True, slots=True)
class Strategy:
    name: str
    describe: str
    """One line, for tables."""
    server: Callable[[StrategySettings, Structure], ServerHalf]
    client: Callable[[StrategySettings, int, Structure, FitCurve], ClientHalf]
    counts: Callable[[StrategySettings], Counts]
    """Which participation counts the masked vector must carry for an exact mean."""
    cuts: bool = False
    """Whether it may lose up to `straggler_share` of the clients in a round on purpose."""
    leaves_out: bool = False
    """Whether it may begin a round without up to `straggler_share` of the clients."""
    needs_plain: bool = False
    """Whether it needs to see single updates, and so cannot run under secure aggregation."""
    pruning: Callable[[StrategySettings, Structure], Pruning] | None = None
    """What prunes weights for everybody; None: nothing does."""
    alone: str = ""
    """Why it cannot be combined with others, in one line; empty: it can."""
    when_drawn: str = ""
    """What is different for it where each round has other clients, in one line."""
