"""Membership inference on one run: everything an attacker may see there, judged by every attack.

What is judged is an example, by what a *view* of the training shows of it: the global model; the
model before a round and the round's sum; the model before a round and one client's update.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from commands.attacked import Attacked, Sample
from commands.shadows import Shadowing, shadowing, train_shadow
from learning.examples import Examples
from learning.membership.classifier import fit
from learning.membership.figures import Scores
from learning.membership.folds import Split, cross_fitted, split
from learning.membership.signals import Subject, calibrated, confidences, gradient_signals, losses
from learning.partition import Indices
from learning.structure import Vector

Values = NDArray[np.float64]
Say = Callable[[str], None]
LEARNT = "white-box"
"""The attack that is learnt on examples whose membership is known."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    model: Vector
    before: Vector | None = None
    """What the model was before the round that is looked at."""

    @property
    def sparsity(self) -> float:
        return 1 - np.count_nonzero(self.model) / self.model.size


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Of some examples, in their order."""

    loss: Values
    confidence: Values
    gained: Values | None
    """How much confidence the round brought."""
    signals: Values

    def taken(self, which: Indices) -> "Measured":
        gained = None if self.gained is None else self.gained[which]
        return Measured(self.loss[which], self.confidence[which], gained, self.signals[which])


@dataclass(frozen=True, slots=True, eq=False)
class Shadows:
    """What models that saw neither say of members and others; empty: there are none."""

    how: Shadowing
    members: tuple[Values, ...] = ()
    others: tuple[Values, ...] = ()


def measured(run: Attacked, view: View, examples: Examples, indices: Indices) -> Measured:
    def subject(vector: Vector) -> Subject:
        return Subject(run.task.model, run.task.objective, vector, examples)

    after = subject(view.model)
    confidence = confidences(after, indices)
    columns, gained = [gradient_signals(after, indices)], None
    if view.before is not None:
        before = subject(view.before)
        gained = confidence - confidences(before, indices)
        columns.append(gradient_signals(before, indices, view.model - view.before))
        columns.append(gained[:, np.newaxis])
    columns.append(confidence[:, np.newaxis])
    return Measured(losses(after, indices), confidence, gained, np.hstack(columns))


def measured_by_client(
    run: Attacked,
    views: Mapping[int, View],
    examples: Examples,
    asked: tuple[Indices, NDArray[np.int64]],
) -> Measured:
    """Each example (index, client) by that client's view."""
    indices, clients = asked
    order = np.argsort(clients, kind="stable")
    parts = [
        measured(run, views[int(client)], examples, indices[clients == client])
        for client in np.unique(clients)
    ]
    gains = [part.gained for part in parts if part.gained is not None]
    together = Measured(
        np.concatenate([part.loss for part in parts]),
        np.concatenate([part.confidence for part in parts]),
        np.concatenate(gains) if gains else None,
        np.concatenate([part.signals for part in parts]),
    )
    return together.taken(np.argsort(order, kind="stable"))


def shadows_of(run: Attacked, asked: Sample, count: int, say: Say) -> Shadows:
    how = shadowing(run, len(asked.pool)) if count else Shadowing(0, 0)
    members, others = [], []
    for number in range(count):
        say(f"{run.name}: shadow {number + 1} of {count}, {how.examples} examples")
        vector = train_shadow(run, asked.pool, how, number)
        corpus, model, objective = run.task.corpus, run.task.model, run.task.objective
        members.append(confidences(Subject(model, objective, vector, corpus.train), asked.members))
        others.append(confidences(Subject(model, objective, vector, corpus.test), asked.others))
    return Shadows(how, tuple(members), tuple(others))


def attack(
    members: Measured, others: Measured, shadows: Shadows, seed: int
) -> tuple[dict[str, Scores], Split]:
    """Every attack's scores, and what the attacker is taken to know when it chooses thresholds."""
    folds = split(len(members.loss), len(others.loss), seed)
    found = {"loss": Scores(-members.loss, -others.loss)}
    if shadows.members:
        found["shadow"] = Scores(
            calibrated(members.confidence, shadows.members),
            calibrated(others.confidence, shadows.others),
        )
    if members.gained is not None and others.gained is not None:
        found["gain"] = Scores(members.gained, others.gained)
    found[LEARNT] = cross_fitted(members.signals, others.signals, folds, fit)
    return found, folds
