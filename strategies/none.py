"""`none`: everybody takes part and trains in full; every round waits for the slowest."""

from collections.abc import Mapping, Sequence

from learning.structure import Structure, Vector
from strategies.interface import Cutoff, Decision, Outcome, RoundView, Strategy, full
from strategies.rates import FitCurve
from strategies.settings import StrategySettings
from strategies.state import NOTHING, State


class Everybody:
    """The coordinator's half of every strategy that leaves the choice to the clients."""

    def participants(
        self, round_: int, joined: Sequence[int], arrivals: Mapping[int, float]
    ) -> Sequence[int]:
        return sorted(joined)

    def left_out(self) -> Mapping[int, str]:
        return {}

    def cutoff(self, round_: int) -> Cutoff | None:
        return None

    def instruction(self, client: int) -> bytes:
        return b""

    def see(self, client: int, model: Vector, update: Vector) -> None:
        """It does not ask to see any."""

    def state(self) -> State:
        return NOTHING

    def restore(self, state: State) -> None:
        """There is nothing to restore."""


class FullModel:
    """The client's half of every strategy that leaves the choice to the coordinator."""

    def note(self) -> bytes:
        return b""

    def decide(self, view: RoundView) -> Decision:
        return full("this strategy never prunes")

    def observe(self, outcome: Outcome) -> None:
        """Nothing to learn."""

    def state(self) -> State:
        return NOTHING

    def restore(self, state: State) -> None:
        """There is nothing to restore."""


def everybody(settings: StrategySettings, structure: Structure) -> Everybody:
    return Everybody()


def full_model(
    settings: StrategySettings, client: int, structure: Structure, curve: FitCurve
) -> FullModel:
    return FullModel()


NONE = Strategy(
    name="none",
    describe="everybody trains the full model; the round waits for the slowest",
    server=everybody,
    client=full_model,
    counts=lambda settings: "total",
    alone="it adds nothing to others",
)
