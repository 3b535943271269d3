"""The global model: where the coordinator's sums meet what `learning` knows of their meaning."""

from math import isfinite

import numpy as np
from numpy.typing import NDArray

from coordinator.model import Evaluation, Portion, UnusableSum
from learning.evaluation import evaluate
from learning.layout import Divisor, VectorLayout
from learning.structure import StructureError
from learning.submodel import SubModel
from learning.task import TaskSettings
from learning.tasks import initial_vector
from protocol.secagg.ring import FixedPoint, Words
from strategies.instruction import decode_keep
from worker.machine import Executor

WHENEVER = float("inf")
"""Deadline of an evaluation: it never pushes a client's training back."""


class SubModelPortion:
    """The part of a model under a keep set; the participation counts always travel whole."""

    def __init__(self, model: "FederatedModel", sub: SubModel) -> None:
        self._model = model
        self._sub = sub

    @property
    def vector(self) -> NDArray[np.float32]:
        return self._sub.extract(self._model.vector)

    @property
    def size(self) -> int:
        return self._sub.size

    @property
    def words(self) -> int:
        return self._model.words - self._sub.structure.size + self._sub.size

    def spread(self, words: Words) -> Words:
        whole: Words = np.zeros(self._model.words, words.dtype)
        size = self._sub.structure.size
        whole[:size][self._sub.mask] = words[: self._sub.size]
        whole[size:] = words[self._sub.size :]
        return whole


class FederatedModel:
    """Implements `coordinator.model.GlobalModel` for one task."""

    def __init__(
        self,
        settings: TaskSettings,
        layout: VectorLayout,
        fixed_point: FixedPoint,
        divisor: Divisor,
        executor: Executor,
    ) -> None:
        self._settings = settings
        self._layout = layout
        self._fixed_point = fixed_point
        self._divisor = divisor
        self._executor = executor
        self._vector = initial_vector(settings)

    @property
    def vector(self) -> NDArray[np.float32]:
        return self._vector

    @property
    def size(self) -> int:
        return self._layout.structure.size

    @property
    def words(self) -> int:
        return self._layout.structure.size + self._layout.length + 1

    def portion(self, instruction: bytes) -> Portion:
        if not instruction:
            return self
        structure = self._layout.structure
        return SubModelPortion(self, SubModel(structure, decode_keep(structure, instruction)[1]))

    def spread(self, words: Words) -> Words:
        """Of a client that has the whole model."""
        return words

    def update_of(self, words: Words) -> NDArray[np.float32]:
        size = self._layout.structure.size
        (weight,) = self._fixed_point.to_integers(words[size : size + 1])
        if weight <= 0:
            raise UnusableSum("a client's weight must be positive")
        update = self._fixed_point.dequantise(words[:size]) / float(weight)
        return update.astype(np.float32)

    def apply(self, total: Words, clients: int) -> float:
        size = self._layout.structure.size
        summed = self._fixed_point.dequantise(total[:size])
        integers = self._fixed_point.to_integers(total[size:])
        counts, clipped = integers[:-1], int(integers[-1])
        try:
            self._vector = self._vector + self._layout.mean(summed, counts, self._divisor)
        except StructureError as error:
            raise UnusableSum(str(error)) from error
        return clipped / self._fixed_point.share_parts / clients

    def restore(self, vector: NDArray[np.float32]) -> None:
        """Raises ValueError for a vector that is not this model's."""
        if vector.shape != self._vector.shape or vector.dtype != np.float32:
            raise ValueError("the model is another one")
        self._vector = vector

    async def evaluate(self) -> Evaluation:
        judged = await self._executor(WHENEVER, evaluate, self._settings, self._vector)
        return Evaluation(_known(judged.metric), _known(judged.loss), judged.per_client)


def _known(figure: float) -> float | None:
    return figure if isfinite(figure) else None
