"""`fluid`: the coordinator finds stragglers and the neurons that change least, and has stragglers
train the rest. It reads single updates, so it cannot run under secure aggregation.

FLuID, arXiv 2307.02623, by its public code (docs/strategies.md says what is ours). The reference
of what a coordinator that sees everything can do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learning.invariance import largest, scores
from learning.structure import Keep, Structure, Vector
from protocol.stragglers import find_stragglers
from strategies.instruction import decode_keep, encode_keep
from strategies.interface import Decision, Outcome, RoundView, Strategy, full
from strategies.neurons import keep_of, shuffled
from strategies.none import Everybody
from strategies.rates import FitCurve
from strategies.settings import StrategySettings
from strategies.state import NOTHING, State, StateError, grouped

AGREEING = 0.75
"""Share of the non-stragglers that must find a weight invariant."""
KEEP_RATIOS = ((0.9, 0.95), (0.8, 0.85), (0.7, 0.75), (0.6, 0.65))
"""Keep ratio by r = time of the slowest other client / the straggler's: the first r reached."""
LEAST_KEEP = 0.5


def keep_ratio_for(r: float) -> float:
    return next((ratio for bound, ratio in KEEP_RATIOS if r >= bound), LEAST_KEEP)


@dataclass(slots=True)
class Votes:
    """What the non-stragglers' updates of one round say about each weight."""

    clients: int
    invariant: NDArray[np.int32]
    least: list[dict[str, float]]
    """By client: the smallest score of each group's neurons."""


class Fluid(Everybody):
    def __init__(self, settings: StrategySettings, structure: Structure) -> None:
        self._settings = settings
        self._structure = structure
        self._layers = _layers(structure)
        self._round = 0
        self._ratios: dict[int, float] = {}
        """Keep ratio of each straggler."""
        self._thresholds: dict[str, float] | None = None
        self._votes = self._no_votes()
        self._dropped: Mapping[str, NDArray[np.intp]] = {}
        self._keeps: dict[int, Keep] = {}

    def participants(
        self, round_: int, joined: Sequence[int], arrivals: Mapping[int, float]
    ) -> Sequence[int]:
        if round_ != self._round:  # another attempt at a round goes by the same evidence
            self._round = round_
            known = {client: arrivals[client] for client in joined if client in arrivals}
            if round_ > self._settings.warmup_rounds:
                self._find_stragglers(known)
            self._keeps = self._sub_models()
            self._learn_thresholds()
            self._votes = self._no_votes()
        return super().participants(round_, joined, arrivals)

    def instruction(self, client: int) -> bytes:
        if client not in self._keeps:
            return b""
        return encode_keep(self._structure, self._keeps[client], self._ratios[client])

    def see(self, client: int, model: Vector, update: Vector) -> None:
        if client in self._ratios:
            return
        votes, settings = self._votes, self._settings
        if self._thresholds is not None:
            bounds = np.array([self._thresholds[group] for group in self._structure.sizes])
            votes.invariant += np.abs(update) <= bounds[self._layers] * np.abs(model)
        if settings.warmup_rounds <= self._round <= settings.warmup_rounds + 1:
            found = scores(self._structure, model, update, epsilon=1e-12)
            votes.least.append({group: float(np.nanmin(score)) for group, score in found.items()})
        votes.clients += 1

    def state(self) -> State:
        """Once its round is over; what the next round makes of it needs no keeping."""
        votes = self._votes
        values = {
            "round": self._round,
            "ratios": {str(client): ratio for client, ratio in self._ratios.items()},
            "thresholds": self._thresholds,
            "clients": votes.clients,
            "least": votes.least,
        }
        return State(values, {"invariant": votes.invariant, **grouped("dropped", self._dropped)})

    def restore(self, state: State) -> None:
        values, invariant = state.values, state.arrays.get("invariant")
        if invariant is None or invariant.shape != (self._structure.size,):
            raise StateError("fluid: must hold a vote on each weight")
        self._round = int(values["round"])
        self._ratios = {int(c): float(ratio) for c, ratio in values["ratios"].items()}
        self._thresholds = values["thresholds"]
        least = [dict(one) for one in values["least"]]
        self._votes = Votes(int(values["clients"]), invariant.astype(np.int32), least)
        self._dropped = state.group("dropped")

    def _find_stragglers(self, arrivals: Mapping[int, float]) -> None:
        """Found once after warm-up; later one is replaced only by a client that is slower by the
        margin than it is with its sub-model."""
        share, margin = self._settings.straggler_share, self._settings.straggler_margin
        if not self._ratios:
            verdict = find_stragglers(arrivals, share, margin)
            self._ratios = {
                client: keep_ratio_for(verdict.target_s / arrivals[client])
                for client in verdict.stragglers
            }
            return
        others = {c: t for c, t in arrivals.items() if c not in self._ratios}
        for straggler in [c for c in self._ratios if c in arrivals]:
            slowest = max(others, key=lambda c: (others[c], -c), default=None)
            if slowest is None or others[slowest] <= arrivals[straggler] * (1 + margin):
                continue
            del self._ratios[straggler]
            rest = [t for c, t in others.items() if c != slowest] + [arrivals[straggler]]
            self._ratios[slowest] = keep_ratio_for(max(rest) / others.pop(slowest))

    def _learn_thresholds(self) -> None:
        """From the rounds either side of the end of warm-up, then on by schedule."""
        settings, round_ = self._settings, self._round
        if least := self._votes.least:
            found = {g: float(np.mean([one[g] for one in least])) for g in self._structure.sizes}
            if not settings.threshold_per_layer:
                found = dict.fromkeys(found, min(found.values()))
            if self._thresholds is not None:
                found = {g: (found[g] + self._thresholds[g]) / 2 for g in found}
            self._thresholds = found
        past = round_ - 1 - settings.threshold_after
        if self._thresholds is not None and past > 0 and past % settings.threshold_every == 0:
            step = settings.threshold_step
            self._thresholds = {g: value + step for g, value in self._thresholds.items()}

    def _sub_models(self) -> dict[int, Keep]:
        """By the votes of the round before; none before votes have been taken."""
        votes = self._votes
        if self._thresholds is None or not votes.clients:
            return {}
        agreed = votes.invariant >= AGREEING * votes.clients
        # A neuron is invariant if none of its weights is not.
        changed = largest(self._structure, (~agreed).astype(np.float32))
        order = {group: self._order(group, changed[group] == 0) for group in changed}
        keeps = {c: keep_of(order, self._structure, ratio) for c, ratio in self._ratios.items()}
        smallest = min(keeps.values(), key=_kept, default={})
        self._dropped = {
            group: np.setdiff1d(np.arange(size), smallest.get(group, np.arange(size)))
            for group, size in self._structure.sizes.items()
        }
        return keeps

    def _order(self, group: str, invariant: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Dropped before and still invariant, then other invariant neurons, then a random fill."""
        before = np.isin(np.arange(len(invariant)), self._dropped.get(group, ()))
        tier = np.where(invariant, np.where(before, 0, 1), 2)
        rank = np.argsort(shuffled(len(tier), f"{self._settings.seed}/{self._round}/{group}"))
        return np.lexsort((rank, tier))

    def _no_votes(self) -> Votes:
        return Votes(0, np.zeros(self._structure.size, np.int32), [])


def _kept(keep: Keep) -> int:
    return sum(map(len, keep.values()))


def _layers(structure: Structure) -> NDArray[np.int8]:
    """The number of the layer whose threshold each coordinate goes by: its own, or the one before
    it for the output layer."""
    order = list(structure.sizes)
    return np.concatenate(
        [
            np.full(parameter.size, order.index(axes[0][1].group) if axes else -1, np.int8)
            for parameter in structure.parameters
            for axes in [structure.prunable_axes(parameter)]
        ]
    )


class Instructed:
    """The client's half: trains what it is told to."""

    def __init__(self, structure: Structure) -> None:
        self._structure = structure
        self._full_macs = structure.forward_macs({})

    def note(self) -> bytes:
        return b""

    def decide(self, view: RoundView) -> Decision:
        """Raises InstructionError for anything but a sub-model of this network."""
        if not view.instruction:
            return full("told to train everything")
        keep_ratio, keep = decode_keep(self._structure, view.instruction)
        return Decision(keep_ratio, keep, True, None, None, "told to train a sub-model")

    def observe(self, outcome: Outcome) -> None:
        """Nothing to learn: the coordinator decides."""

    def state(self) -> State:
        return NOTHING

    def restore(self, state: State) -> None:
        """There is nothing to restore."""


def _client(
    settings: StrategySettings, client: int, structure: Structure, curve: FitCurve
) -> Instructed:
    return Instructed(structure)


FLUID = Strategy(
    name="fluid",
    describe="the coordinator drops stragglers' least changing neurons, by everybody's updates",
    server=Fluid,
    client=_client,
    counts=lambda settings: "neuron",
    needs_plain=True,
    alone="it sends each straggler a part of the model of its own",
    when_drawn="votes come from whoever is drawn; stragglers stay known while they are away",
)
