"""Whole secure rounds over loopback, unthrottled: the real coordinator, and for each client the
worker's own channel, transfers and party. Only training is left out: every client answers with a
fixed vector. One process plays everybody; masks, digests and files run on its threads.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise

import aiohttp
import numpy as np

from commands.coordination import new_token, served
from coordinator.admission import Admission
from coordinator.engine import Coordinator, Parts
from coordinator.intake import TelemetryIntake
from coordinator.limits import Limits
from coordinator.model import Evaluation
from coordinator.summation import SumRule
from learning.layout import VectorLayout
from learning.structure import Group, Parameter, Structure, Vector
from learning.training import TrainingJob
from protocol.identity import Identity
from protocol.messages import Message, Plan, Ready
from protocol.secagg.client import ClientMachine
from protocol.secagg.packing import pack, packed_size
from protocol.secagg.ring import FixedPoint, Words
from protocol.secagg.terms import Terms
from protocol.sizes import SESSION_BYTES
from protocol.telemetry import ListRecorder, Span, Tracer
from strategies.none import Everybody
from worker.channel import Channel, LeftBehind, RunFinished
from worker.client import Device
from worker.machine import RealMachine, in_thread
from worker.party import SecureParty
from worker.transfer import PIECE_BYTES, Transfers

RING_BITS = 32


@dataclass(frozen=True, slots=True)
class Setting:
    """One secure sum. `neighbours` 0: everyone with everyone."""

    clients: int
    size: int
    threshold: int
    neighbours: int
    clip: float

    @property
    def fixed_point(self) -> FixedPoint:
        return FixedPoint(self.clip, RING_BITS, max_weight=1, max_clients=self.clients)

    @property
    def aggregation(self) -> str:
        return "secagg+" if self.neighbours else "secagg"

    def value(self, client: int) -> float:
        """What this client's vector is filled with."""
        return (client + 1) / self.clients


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one round, as the coordinator saw it."""

    keys_s: float
    shares_s: float
    collect_s: float
    """From the shares' delivery until the last vector is in the sum: downloads, masks, uploads."""
    unmask_s: float
    """Until the new model is there."""

    @property
    def round_s(self) -> float:
        return self.keys_s + self.shares_s + self.collect_s + self.unmask_s


class MeanModel:
    """A model without neurons; everything but its evaluation is the real one's."""

    def __init__(self, setting: Setting) -> None:
        parameters = [Parameter("weights", (setting.size,), (None,))]
        structure = Structure([Group("output", 1, prunable=False)], parameters, lambda widths: 0)
        self._layout = VectorLayout(structure, "total")
        self._fixed_point = setting.fixed_point
        self._vector = np.zeros(setting.size, np.float32)

    @property
    def vector(self) -> Vector:
        return self._vector

    @property
    def words(self) -> int:
        return self._layout.structure.size + self._layout.length + 1

    def apply(self, total: Words, clients: int) -> float:
        size = self._layout.structure.size
        summed = self._fixed_point.dequantise(total[:size])
        integers = self._fixed_point.to_integers(total[size:])
        self._vector = self._vector + self._layout.mean(summed, integers[:-1])
        return int(integers[-1]) / self._fixed_point.share_parts / clients

    async def evaluate(self) -> Evaluation:
        return Evaluation(0.0, 0.0, ())


class FixedWorker:
    """One client: opens, downloads, masks its fixed vector, uploads, unmasks."""

    def __init__(self, setting: Setting, client: int, recorder: ListRecorder) -> None:
        machine = RealMachine(in_thread)
        clock = asyncio.get_running_loop().time
        tracer = Tracer(recorder, clock, client)
        self._setting = setting
        self._client = client
        self._device = Device(machine, machine, tracer, _undisturbed)
        self._update = np.full(setting.size, setting.value(client), np.float32)

    async def run(self, url: str, token: str) -> None:
        async with aiohttp.ClientSession() as session:
            channel = await Channel.open(session, url)
            identity = Identity.generate(secrets.token_bytes)
            joined = await channel.join(token, "loopback", identity, self._client)
            transfers = Transfers(session, url, joined.welcome.credential)
            await channel.send(Ready(1))
            try:
                await self._attend(channel, transfers, joined.session)
            except RunFinished:
                await channel.close()

    async def _attend(self, channel: Channel, transfers: Transfers, session: bytes) -> None:
        """Ends by an exception only."""
        message: Message | None = None
        while True:
            message = message or await channel.receive()
            if not isinstance(message, Plan):
                message = None
                continue
            machine = ClientMachine(
                self._client, Terms.of_plan(session, message), secrets.token_bytes
            )
            party = SecureParty(message, channel, self._device, machine)
            try:
                await self._play(message, party, transfers)
                message = None
            except LeftBehind as behind:
                message = behind.message

    async def _play(self, plan: Plan, party: SecureParty, transfers: Transfers) -> None:
        await party.open(b"")
        await transfers.download_model(plan.round, self._setting.size)
        words = await asyncio.to_thread(self._words)
        await party.mask(words)
        body = await asyncio.to_thread(pack, words, RING_BITS)
        pieces = (body[i : i + PIECE_BYTES] for i in range(0, len(body), PIECE_BYTES))
        await transfers.upload(plan.round, plan.attempt, pieces, len(body))
        await party.unmask()

    def _words(self) -> Words:
        """The update in fixed point, its weight 1, and its clipped share 0."""
        fixed_point, size = self._setting.fixed_point, self._setting.size
        words: Words = np.zeros(size + 2, fixed_point.word)
        fixed_point.quantise(self._update, 1, words[:size])
        fixed_point.encode_integers(np.array([1, 0]), words[size:])
        return words


@asynccontextmanager
async def _undisturbed(jobs: Sequence[TrainingJob]) -> AsyncIterator[None]:
    yield


def rounds_of(setting: Setting, rounds: int) -> tuple[list[Timing], float]:
    """Each round's times and the bytes that a client uploads for each coordinate.

    ArithmeticError unless the model is the mean of what the clients sent."""
    return asyncio.run(_rounds_of(setting, rounds))


async def _rounds_of(setting: Setting, rounds: int) -> tuple[list[Timing], float]:
    recorder, token = ListRecorder(), new_token()
    model = MeanModel(setting)
    coordinator = _coordinator(setting, rounds, model, (recorder, token))
    async with served(coordinator, ("127.0.0.1", 0)) as url:
        workers = [FixedWorker(setting, client, recorder) for client in range(setting.clients)]
        playing = [asyncio.create_task(worker.run(url, token)) for worker in workers]
        await coordinator.run()
        await asyncio.gather(*playing)
    expected = rounds * (setting.clients + 1) / 2 / setting.clients
    error = float(np.abs(model.vector - expected).max())
    if error > rounds * (setting.fixed_point.step + 1e-6):
        raise ArithmeticError(f"the mean over {rounds} rounds is off by {error}")
    spans = [item for item in recorder.items if isinstance(item, Span) and item.client is None]
    timings = [_timing(spans, round_) for round_ in range(1, rounds + 1)]
    return timings, packed_size(model.words, RING_BITS) / setting.size


def _coordinator(
    setting: Setting, rounds: int, model: MeanModel, recorded: tuple[ListRecorder, str]
) -> Coordinator:
    recorder, token = recorded
    session, limits = secrets.token_bytes(SESSION_BYTES), Limits()
    parts = Parts(
        model=model,
        strategy=Everybody(),
        rule=SumRule(
            setting.aggregation,
            session,
            RING_BITS,
            lambda parties: (setting.threshold, setting.neighbours),
        ),
        admission=Admission(token, session, {}, limits.handshake_s),
        tracer=Tracer(recorder, asyncio.get_running_loop().time),
        intake=TelemetryIntake(recorder),
        limits=limits,
    )
    return Coordinator(parts, setting.clients, rounds)


def _timing(spans: Sequence[Span], round_: int) -> Timing:
    """From the coordinator's spans; what lies between two belongs to the later."""
    ends = {span.phase: span.end_s for span in spans if span.round == round_}
    (start_s,) = (s.start_s for s in spans if (s.round, s.phase) == (round_, "round"))
    marks = [start_s, ends["keys"], ends["shares"], ends["collect"], ends["round"]]
    return Timing(*(end - begin for begin, end in pairwise(marks)))
