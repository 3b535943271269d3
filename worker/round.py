"""One round of one client, top to bottom: open, download, decide, fit, mask, upload, unmask.

Deciding, learning from the round and packing bytes take the host milliseconds and are not charged
to the device; training, masks and keys are.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

import numpy as np

from learning.structure import Vector
from learning.submodel import SubModel
from learning.training import TrainingResult, train, work
from protocol.messages import Plan
from protocol.secagg.packing import pack, packed_size
from protocol.secagg.ring import Words
from protocol.work import Operation
from strategies.interface import Decision, Outcome, RoundView
from worker.channel import Channel
from worker.client import Client
from worker.party import Party
from worker.transfer import PIECE_BYTES, Transfers

_ZERO = np.zeros(())


@dataclass(frozen=True, slots=True)
class Fit:
    decision: Decision
    result: TrainingResult
    seconds: float


@dataclass(frozen=True, slots=True)
class Body:
    """What is uploaded; without content where only its length matters."""

    size: int
    content: memoryview


class ClientRound:
    def __init__(
        self, client: Client, plan: Plan, party: Party, transfers: Transfers, channel: Channel
    ) -> None:
        self._unless_overtaken = channel.unless_overtaken
        self._client = client
        self._plan = plan
        self._party = party
        self._transfers = transfers
        self._tracer = client.device.tracer

    async def play(self) -> None:
        try:
            await self._take_steps()
        finally:
            await self._party.close()

    async def _take_steps(self) -> None:
        client = self._client
        notes = await self._party.open(client.strategy.note())
        if client.settings.precompute:
            self._party.expand_ahead(client.words, client.settings.ring_bits)
        # Up to here its vector can still be given up; an upload is answered, however late.
        fit, body, download_s = await self._unless_overtaken(self._prepare(notes))
        upload_s = await self._upload(body)
        outcome = Outcome(
            self._plan.round,
            fit.decision,
            fit.result.update,
            fit.seconds,
            download_s + upload_s,
            computed=not self._transfers.hollow,
        )
        await asyncio.to_thread(client.strategy.observe, outcome)
        client.memory.keep(self._plan.round, client.strategy.state())
        await self._party.unmask()

    async def _prepare(self, notes: Mapping[int, bytes]) -> tuple[Fit, Body, float]:
        part = self._client.portion(self._party.instruction)
        model, download_s = await self._download(part)
        await asyncio.to_thread(self._client.check_training, self._plan, model)
        fit = await self._fit(model, notes)
        return fit, await self._mask(fit, part), download_s

    async def _download(self, part: SubModel | None) -> tuple[Vector, float]:
        size = self._client.task.structure.size if part is None else part.size
        with self._tracer.span("download", self._plan.round):
            start_s = self._tracer.now()
            model = await self._transfers.download_model(self._plan.round, size)
            download_s = self._tracer.now() - start_s
        return (model if part is None else part.expand(model)), download_s

    async def _fit(self, model: Vector, notes: Mapping[int, bytes]) -> Fit:
        client, round_ = self._client, self._plan.round
        view = RoundView(round_, client.id, notes, model, self._party.instruction)
        decision = await asyncio.to_thread(client.strategy.decide, view)
        with self._tracer.span("fit", round_) as span:
            span |= {
                "keep_ratio": decision.keep_ratio,
                "straggler": decision.straggler,
                "target_s": decision.target_s,
                "predicted_s": decision.predicted_s,
                "reason": decision.reason,
            }
            job = client.job(round_, model, decision.keep)
            todo = await asyncio.to_thread(work, job)
            start_s = self._tracer.now()
            result = await client.device.trainer.run(todo, train, job)
            fit_s = self._tracer.now() - start_s
            span |= {
                "loss": result.loss if isfinite(result.loss) else None,
                "examples": result.examples,
                "full_s": fit_s / decision.relative_cost,
                "work": {str(operation): count for operation, count in todo.items()},
            }
        return Fit(decision, result, fit_s)

    async def _mask(self, fit: Fit, part: SubModel | None) -> Body:
        """The bytes to upload: quantised, weighted, with counts, masked, packed."""
        if self._transfers.hollow:
            return await self._mask_nothing(part)
        client = self._client
        left_out = 0 if part is None else client.task.structure.size - part.size
        quantising = {Operation.QUANTISED_VALUE: float(client.words - left_out)}
        with self._tracer.span("mask", self._plan.round) as span:
            words, clipped = await client.device.cpu.run(
                quantising, encode, client, fit, self._plan.round
            )
            span["clipped_fraction"] = clipped / client.task.structure.size
            if part is not None:
                size = client.task.structure.size
                words = np.concatenate([words[:size][part.mask], words[size:]])
            await self._party.mask(words)
            packed = await asyncio.to_thread(pack, words, client.settings.ring_bits)
            return Body(len(packed), packed)

    async def _mask_nothing(self, part: SubModel | None) -> Body:
        """The same charged for a vector that does not exist."""
        client = self._client
        length = client.words - (0 if part is None else client.task.structure.size - part.size)
        quantising = {Operation.QUANTISED_VALUE: float(length)}
        with self._tracer.span("mask", self._plan.round) as span:
            await client.device.cpu.run(quantising, _nothing)
            span["clipped_fraction"] = 0.0
            await self._party.mask(np.broadcast_to(_ZERO.astype(client.fixed_point.word), length))
        return Body(packed_size(length, client.settings.ring_bits), memoryview(b""))

    async def _upload(self, body: Body) -> float:
        view = body.content
        pieces = (view[i : i + PIECE_BYTES] for i in range(0, len(view), PIECE_BYTES))
        with self._tracer.span("upload", self._plan.round):
            start_s = self._tracer.now()
            await self._transfers.upload(self._plan.round, self._plan.attempt, pieces, body.size)
            return self._tracer.now() - start_s


def _nothing() -> None:
    """Charged, not computed."""


def encode(client: Client, fit: Fit, round_: int) -> tuple[Words, int]:
    """A client's vector in ring elements before masking, and how many coordinates were clipped.

    [update, weighted and quantised] ++ [participation counts] ++ [share of clipped coordinates]:
    the last tells the mean over clients without telling anybody's own. Chance, if it rounds, is
    keyed by (seed, round, client) and protects nothing: the masks do.
    """
    fixed_point, weight = client.fixed_point, fit.result.examples
    size = client.task.structure.size
    words: Words = np.zeros(client.words, dtype=fixed_point.word)
    update, chance = fit.result.update, None
    if client.settings.rounding == "stochastic":
        chance = np.random.Generator(np.random.SFC64([client.settings.seed, round_, client.id]))
    clipped = fixed_point.quantise(update, weight, words[:size], chance)
    share = round(clipped / size * fixed_point.share_parts)
    counts = client.layout.weights(fit.decision.keep, weight)
    fixed_point.encode_integers(np.append(counts, share), words[size:])
    return words, clipped
