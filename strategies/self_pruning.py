"""The client half of every strategy whose stragglers prune themselves: note, rate, neurons.

The three parts are orthogonal: `strategies.times` says who is a straggler, a rate rule how much it
prunes, a neuron choice what. Nobody else can make a client prune, and none learns that it did.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from learning.kernels import zeros_of
from learning.selection import Kept
from learning.structure import Keep, Structure, kept_sizes
from strategies.interface import FULL_MODEL, Decision, Outcome, RoundView, full
from strategies.neurons import NeuronChoice
from strategies.rates import Choice, FitCurve, Rate, RateRule, grid
from strategies.settings import StrategySettings
from strategies.state import State
from strategies.times import Times, encode_note, read_notes, standing

WHEN_DRAWN = (
    "a client judges itself by its own last round, however long ago, and by the notes of those"
    " drawn with it; its first round is trained in full"
)


def rates_of(structure: Structure, curve: FitCurve, settings: StrategySettings) -> tuple[Rate, ...]:
    """The grid of keep ratios with the cost of the real sub-model at each."""
    full_macs = structure.forward_macs(structure.sizes)

    def cost(keep_ratio: float) -> float:
        return curve.relative(structure.forward_macs(kept_sizes(structure, keep_ratio)), full_macs)

    return grid(settings.min_keep, settings.keep_step, cost)


def rates_among(
    structure: Structure, curve: FitCurve, settings: StrategySettings, kept: Kept
) -> tuple[Rate, ...]:
    """Likewise where only these weights survive and the device's kernels make something of it: as
    if zeros were spread evenly over each tensor, since nobody knows yet which neurons will go."""
    zeros = zeros_of(structure, kept)
    full_macs = curve.kernels.macs_among(structure, structure.sizes, zeros)

    def cost(keep_ratio: float) -> float:
        sizes = kept_sizes(structure, keep_ratio)
        return curve.relative(curve.kernels.macs_among(structure, sizes, zeros), full_macs)

    return grid(settings.min_keep, settings.keep_step, cost)


@dataclass(frozen=True, slots=True)
class Parts:
    """What distinguishes one self-pruning strategy from another."""

    rule: RateRule
    neurons: NeuronChoice


class SelfPruning:
    def __init__(
        self, settings: StrategySettings, structure: Structure, curve: FitCurve, parts: Parts
    ) -> None:
        self._settings = settings
        self._structure = structure
        self._curve = curve
        self._parts = parts
        self._rates = rates_of(structure, curve, settings)
        self._own: Times | None = None

    def note(self) -> bytes:
        """Empty only before this client's first round, which everybody knows to be its first."""
        return b"" if self._own is None else encode_note(self._own)

    def observe(self, outcome: Outcome) -> None:
        """Raises TimesError if the measured times are not times."""
        self._parts.neurons.observe(outcome)
        if outcome.update is None:
            return
        full_fit_s = outcome.fit_s / outcome.decision.relative_cost
        self._own = Times.measured(full_fit_s, outcome.network_s)

    def decide(self, view: RoundView) -> Decision:
        self._parts.neurons.see(view)
        if view.round <= self._settings.warmup_rounds:
            return full("warm-up round")
        times, ignored = read_notes(view.notes)
        if view.client not in times:
            return full("no round of its own to judge by yet")
        return self._judge(view, times, ignored)

    def state(self) -> State:
        neurons = self._parts.neurons.state()
        own = None if self._own is None else [self._own.fit_s, self._own.network_s]
        return State({**neurons.values, "own": own}, neurons.arrays)

    def restore(self, state: State) -> None:
        own = state.values.get("own")
        self._own = None if own is None else Times.measured(*map(float, own))
        self._parts.neurons.restore(state)

    def _judge(self, view: RoundView, times: Mapping[int, Times], ignored: int) -> Decision:
        share, margin = self._settings.straggler_share, self._settings.straggler_margin
        own, known = times[view.client], standing(view.client, times, share, margin)
        unpruned = self._parts.rule(self._rates[:1], own, known)
        if not known.straggler:
            return _decision(unpruned, FULL_MODEL, False, ignored, "not a straggler")
        choice = self._parts.rule(self._rates_under(view.kept), own, known)
        if choice.rate.keep_ratio == 1.0:
            return _decision(choice, FULL_MODEL, True, ignored, choice.reason)
        keep = self._parts.neurons.keep(choice.rate.keep_ratio)
        if keep is None:
            return _decision(unpruned, FULL_MODEL, True, ignored, "no evidence on neurons yet")
        rate = self._costed(choice.rate, keep, view.kept)
        predicted_s = self._parts.rule((rate,), own, known).predicted_s
        choice = replace(choice, rate=rate, predicted_s=predicted_s)
        return _decision(choice, keep, True, ignored, choice.reason)

    def _rates_under(self, kept: Kept | None) -> tuple[Rate, ...]:
        if kept is None or not self._curve.kernels.curves:
            return self._rates
        return rates_among(self._structure, self._curve, self._settings, kept)

    def _costed(self, rate: Rate, keep: Keep, kept: Kept | None) -> Rate:
        """What these very neurons cost, whose weights may hold more or fewer zeros than others."""
        kernels = self._curve.kernels
        if kept is None or not kernels.curves:
            return rate
        full = kernels.macs(self._structure, FULL_MODEL, kept)
        cost = self._curve.relative(kernels.macs(self._structure, keep, kept), full)
        return replace(rate, relative_cost=cost)


def _decision(
    choice: Choice, keep: Keep, straggler: bool, ignored_notes: int, reason: str
) -> Decision:
    return Decision(
        keep_ratio=choice.rate.keep_ratio,
        keep=keep,
        straggler=straggler,
        target_s=choice.target_s,
        predicted_s=choice.predicted_s,
        reason=reason,
        relative_cost=choice.rate.relative_cost,
        ignored_notes=ignored_notes,
    )
