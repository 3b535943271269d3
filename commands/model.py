"""The global model: where the coordinator's sums meet what `learning` knows of their meaning."""

from dataclasses import dataclass
from functools import cached_property
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from commands.patterns import Patterns
from coordinator.model import Applied, Evaluation, Portion, UnusableSum, UnusableVector
from learning.evaluation import evaluate
from learning.layout import Divisor, VectorLayout
from learning.pattern import Pattern
from learning.structure import StructureError, Vector
from learning.submodel import SubModel
from learning.task import TaskSettings
from learning.tasks import initial_vector
from learning.upload import UploadLayout, Votes
from protocol.pattern import PatternName
from protocol.secagg.ring import FixedPoint, Words
from protocol.telemetry import Json
from strategies.instruction import decode_keep
from strategies.pruning import Merged, Pruning
from worker.machine import Executor

WHENEVER = float("inf")
"""Deadline of an evaluation: it never pushes a client's training back."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What words of a sum stand for; the same in every round."""

    layout: VectorLayout
    fixed_point: FixedPoint
    divisor: Divisor
    pruning: Pruning | None = None

    def upload(self, values: int) -> UploadLayout:
        """Of a client that sends so many coordinates."""
        votes: Votes = "none" if self.pruning is None else self.pruning.votes
        return UploadLayout.of(values, self.layout.length, votes, self.fixed_point)


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

    def tail(self, held: str) -> bytes:
        """Sub-models and a shared pattern do not go together."""
        return b""


class Whole:
    """All that survives, as of now: for everybody who is told nothing else. One for all of them,
    and the survivors' values taken out once."""

    def __init__(self, model: "FederatedModel") -> None:
        pattern = model.patterns.current
        self._telling = model.patterns.telling
        self._model_vector, self._pattern = model.vector, pattern
        self.size = model.vector.size if pattern is None else pattern.size
        self.words = model.words

    @cached_property
    def vector(self) -> NDArray[np.float32]:
        pattern = self._pattern
        return self._model_vector if pattern is None else pattern.extract(self._model_vector)

    def outdated(self, model: "FederatedModel") -> bool:
        return model.vector is not self._model_vector

    def spread(self, words: Words) -> Words:
        return words

    def tail(self, held: str) -> bytes:
        return self._telling.tail(held)


class FederatedModel:
    """Implements `coordinator.model.GlobalModel` for one task."""

    def __init__(self, settings: TaskSettings, meaning: Meaning, executor: Executor) -> None:
        self._settings = settings
        self._meaning = meaning
        self._executor = executor
        self._vector = initial_vector(settings)
        self.patterns = Patterns()
        self._whole: Whole | None = None

    @property
    def vector(self) -> NDArray[np.float32]:
        return self._vector

    @property
    def pattern(self) -> PatternName:
        return self.patterns.name

    @property
    def words(self) -> int:
        return self._upload.words

    @property
    def _upload(self) -> UploadLayout:
        pattern = self.patterns.current
        return self._meaning.upload(self._vector.size if pattern is None else pattern.size)

    def portion(self, instruction: bytes) -> Portion:
        if not instruction:
            if self._whole is None or self._whole.outdated(self):
                self._whole = Whole(self)
            return self._whole
        structure = self._meaning.layout.structure
        return SubModelPortion(self, SubModel(structure, decode_keep(structure, instruction)[1]))

    def update_of(self, words: Words) -> NDArray[np.float32]:
        """One client's, of the whole model. Raises UnusableVector."""
        upload, numbers = self._upload, self._meaning.fixed_point
        counts = upload.counts.unpack(words[upload.counts_at])
        weight = counts[0]
        if not 1 <= weight <= numbers.max_weight:
            raise UnusableVector(
                f"a client's weight must lie in [1, {numbers.max_weight}], this one is {weight}"
            )
        if counts.max() > weight:
            raise UnusableVector("a neuron was trained with more than its client's weight")
        update = numbers.dequantise(words[: upload.values]) / float(weight)
        return update.astype(np.float32)

    def apply(self, total: Words, clients: int, round_: int) -> Applied:
        upload, numbers = self._upload, self._meaning.fixed_point
        (clipped,) = numbers.to_integers(total[upload.share_at : upload.share_at + 1])
        fraction = int(clipped) / numbers.share_parts / clients
        try:
            update = self._mean(total, upload)
        except StructureError as error:
            raise UnusableSum(str(error)) from error
        if self._meaning.pruning is None:
            self._vector = self._vector + update
            return Applied(fraction)
        votes = self._votes(total, upload, clients)
        self._prune(self._meaning.pruning, self._merged(update, votes, clients), round_)
        return Applied(fraction, self._notes(upload.values, votes, clients))

    def _mean(self, total: Words, upload: UploadLayout) -> Vector:
        """The update of the coordinates that travelled."""
        numbers, layout = self._meaning.fixed_point, self._meaning.layout
        summed = numbers.dequantise(total[: upload.values])
        counts = upload.counts.unpack(total[upload.counts_at])
        if upload.vote_weights is None:
            pattern = self.patterns.current
            kept = None if pattern is None else pattern.kept
            return layout.mean(summed, counts, self._meaning.divisor, kept)
        weights = upload.vote_weights.unpack(total[upload.vote_weights_at])
        mean = np.divide(summed, weights, out=np.zeros_like(summed), where=weights > 0)
        return mean.astype(np.float32)

    def _votes(self, total: Words, upload: UploadLayout, clients: int) -> NDArray[np.int64] | None:
        """How many clients keep each of the coordinates that travelled."""
        if upload.votes is None:
            return None
        votes = upload.votes.unpack(total[upload.votes_at])
        if votes.max(initial=0) > clients:
            raise UnusableSum("a coordinate has more votes than there are clients")
        return votes

    def _merged(self, update: Vector, votes: NDArray[np.int64] | None, clients: int) -> Merged:
        """At full length."""
        pattern = self.patterns.current
        if pattern is None:
            kept = np.ones(self._vector.size, np.bool_)
            return Merged(self._vector, update, kept, votes, clients)
        whole = None
        if votes is not None:
            whole = np.zeros(self._vector.size, np.int64)
            whole[pattern.kept] = votes
        return Merged(self._vector, pattern.expand(update), pattern.kept, whole, clients)

    def _prune(self, pruning: Pruning, merged: Merged, round_: int) -> None:
        vector, kept = pruning.merge(round_, merged)
        if not kept.any():
            raise UnusableSum("no weight survives")
        self._vector = vector
        self.patterns.replace(kept)

    def _notes(
        self, travelled: int, votes: NDArray[np.int64] | None, clients: int
    ) -> dict[str, Json]:
        """`values_up`: what clients kept of what they trained, all of them together, which is what
        FedSparsify's own measure of communication counts."""
        size, pattern = self._vector.size, self.patterns.current
        return {
            "parameters": size,
            "surviving": travelled,
            "values_up": clients * travelled if votes is None else int(votes.sum()),
            "sparsity": 0.0 if pattern is None else 1 - pattern.size / size,
        }

    def restore(self, vector: NDArray[np.float32], pattern: Pattern | None = None) -> None:
        """Raises ValueError for a vector or pattern that is not this model's."""
        if vector.shape != self._vector.shape or vector.dtype != np.float32:
            raise ValueError("the model is another one")
        if pattern is not None:
            if pattern.kept.shape != vector.shape:
                raise ValueError("the pattern is of another model")
            self.patterns.restore(pattern)
        self._vector = vector

    async def evaluate(self) -> Evaluation:
        judged = await self._executor(WHENEVER, evaluate, self._settings, self._vector)
        return Evaluation(_known(judged.metric), _known(judged.loss), judged.per_client)


def _known(figure: float) -> float | None:
    return figure if isfinite(figure) else None
