"""`keep_updates`: the single updates of some rounds in the run folder, for attacks on them.

Only where nothing masks them; under secure aggregation nobody has a single update to keep.
"""

from collections.abc import Callable
from typing import cast

import numpy as np

from commands.model import FederatedModel
from commands.study import Study
from coordinator.engine import Coordinator
from protocol.secagg.ring import Words
from runs.checkpoint import Checkpoint
from runs.updates import client_file, of_client, of_model, round_file

Keep = Callable[[str, Checkpoint], None]
"""Puts a file of that name in place."""


def attach_keeper(study: Study, coordinator: Coordinator, keep: Keep) -> None:
    """Before the run: have the updates of the rounds that its settings name kept."""
    if study.kept_rounds:
        model = cast(FederatedModel, coordinator.model)
        keeper = UpdateKeeper(study.kept_rounds, model, keep)
        coordinator.show_to(
            lambda client, words: keeper.show(coordinator.status.round, client, words)
        )


class UpdateKeeper:
    """Shown each client's vector before the round's sum is applied, one at a time."""

    def __init__(self, rounds: frozenset[int], model: FederatedModel, keep: Keep) -> None:
        self._rounds = rounds
        self._model = model
        self._keep = keep
        self._begun = 0

    def show(self, round_: int, client: int, words: Words) -> None:
        if round_ not in self._rounds:
            return
        if self._begun != round_:
            self._begun = round_
            vector, pattern = self._model.vector, self._model.patterns.current
            kept = np.ones(vector.size, np.bool_) if pattern is None else pattern.kept
            self._keep(round_file(round_), of_model(round_, vector[kept], kept))
        update = self._model.update_of(words)
        self._keep(client_file(round_, client), of_client(round_, client, update))
