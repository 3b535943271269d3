"""One round of one client, top to bottom: open, download, decide, fit, mask, upload, unmask.

Deciding, learning from the round and packing bytes take the host milliseconds and are not charged
to the device; training, masks and keys are.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import isfinite
from typing import Any

import numpy as np

from learning.gradient import gradient
from learning.pattern_codec import most_bytes
from learning.selection import Selection
from learning.structure import Vector
from learning.training import train, work
from protocol.messages import Plan
from protocol.secagg.packing import pack, packed_size
from protocol.secagg.ring import Words
from protocol.work import Operation
from strategies.interface import Outcome, RoundView
from worker.channel import Channel
from worker.client import Client
from worker.encoding import Fit, encode
from worker.party import Party
from worker.transfer import PIECE_BYTES, Transfers

_ZERO = np.zeros(())


@dataclass(frozen=True, slots=True, eq=False)
class Download:
    model: Vector
    """Whole; zero where nothing travels."""
    travels: Selection | None
    """Which coordinates do, both ways; None: all."""
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
            values = self._plan.surviving or client.task.structure.size
            self._party.expand_ahead(client.upload(values).words, client.settings.ring_bits)
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
        loaded = await self._download()
        await asyncio.to_thread(self._client.check_training, self._plan, loaded.model)
        fit = await self._fit(loaded, notes)
        return fit, await self._mask(fit, loaded), loaded.seconds

    async def _download(self) -> Download:
        client, plan = self._client, self._plan
        size, part = client.task.structure.size, client.portion(self._party.instruction)
        with self._tracer.span("download", plan.round):
            start_s = self._tracer.now()
            if plan.pattern:
                values, part = await self._under_pattern()
            else:
                length = size if part is None else part.size
                values = await self._transfers.download_model(plan.round, length)
            seconds = self._tracer.now() - start_s
        return Download(values if part is None else part.expand(values), part, seconds)

    async def _under_pattern(self) -> tuple[Vector, Selection]:
        """The surviving values, and which they are."""
        client, plan = self._client, self._plan
        size = client.task.structure.size
        values, tail = await self._transfers.download_surviving(
            plan.round, plan.pattern, (client.held.text, most_bytes(size))
        )
        return values, await asyncio.to_thread(client.held.take, plan.pattern, tail, size)

    async def _fit(self, loaded: Download, notes: Mapping[int, bytes]) -> Fit:
        client, round_ = self._client, self._plan.round
        kept = loaded.travels.kept if self._plan.pattern and loaded.travels is not None else None
        view = RoundView(round_, client.id, notes, loaded.model, self._party.instruction, kept)
        decision = await asyncio.to_thread(client.strategy.decide, view)
        with self._tracer.span("fit", round_) as span:
            span |= {
                "keep_ratio": decision.keep_ratio,
                "straggler": decision.straggler,
                "target_s": decision.target_s,
                "predicted_s": decision.predicted_s,
                "reason": decision.reason,
            }
            job = client.job(round_, loaded.model, decision.keep)
            job = replace(job, kept=kept)
            measures = client.measures_gradient(round_)
            job = replace(job, epochs=1) if measures else job
            todo = await asyncio.to_thread(work, job, client.kernels)
            start_s = self._tracer.now()
            result = await client.device.trainer.run(todo, gradient if measures else train, job)
            fit_s = self._tracer.now() - start_s
            span |= {
                "loss": result.loss if isfinite(result.loss) else None,
                "examples": result.examples,
                "full_s": fit_s / decision.relative_cost,
                "work": {str(operation): count for operation, count in todo.items()},
            }
        return Fit(decision, result, fit_s)

    async def _mask(self, fit: Fit, loaded: Download) -> Body:
        """The bytes to upload: quantised, weighted, with counts, masked, packed."""
        client, part = self._client, loaded.travels
        values = client.task.structure.size if part is None else part.size
        length = client.upload(values).words
        if self._transfers.hollow:
            return await self._mask_nothing(length)
        quantising = {Operation.QUANTISED_VALUE: float(length)}
        with self._tracer.span("mask", self._plan.round) as span:
            words, clipped = await client.device.cpu.run(
                quantising, encode, client, fit, (self._plan.round, loaded.model, part)
            )
            span["clipped_fraction"] = clipped / values
            await self._party.mask(words)
            packed = await asyncio.to_thread(pack, words, client.settings.ring_bits)
            return Body(len(packed), packed)

    async def _mask_nothing(self, length: int) -> Body:
        """The same charged for a vector that does not exist."""
        client = self._client
        quantising = {Operation.QUANTISED_VALUE: float(length)}
        with self._tracer.span("mask", self._plan.round) as span:
            await client.device.cpu.run(quantising, _nothing)
            span["clipped_fraction"] = 0.0
            await self._party.mask(_no_words(length, client.fixed_point.word))
        return Body(packed_size(length, client.settings.ring_bits), memoryview(b""))

    async def _upload(self, body: Body) -> float:
        view = body.content
        pieces = (view[i : i + PIECE_BYTES] for i in range(0, len(view), PIECE_BYTES))
        with self._tracer.span("upload", self._plan.round):
            start_s = self._tracer.now()
            place, named = (self._plan.round, self._plan.attempt), self._plan.pattern.text
            await self._transfers.upload(*place, pieces, body.size, named)
            return self._tracer.now() - start_s


@lru_cache(maxsize=8)
def _no_words(length: int, word: type[np.unsignedinteger[Any]]) -> Words:
    """Zeros that take no room; nobody may write into them."""
    return np.broadcast_to(_ZERO.astype(word), length)


def _nothing() -> None:
    """Charged, not computed."""
