"""One round, top to bottom: open, collect, unmask, apply.

A client that is lost, late or garbled in a phase is out of the round from there on; the round
goes on with the others as long as the protocol can, and says who was lost, when and why.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from coordinator.errors import RoundFailed
from coordinator.gathering import Gathering
from coordinator.limits import Limits
from coordinator.model import GlobalModel, UnusableSum, UnusableVector
from coordinator.registry import ABSENT, Client
from coordinator.result import RoundResult
from coordinator.status import Status, Transfer
from coordinator.summation import Place, Step, Summation, SumRule
from coordinator.unmasking import Unmasking
from coordinator.uploads import Spool, SpoolRoom, Upload, UploadRejected
from protocol import pattern
from protocol.checksum import UploadChecksum
from protocol.errors import LocalError, ProtocolError, TooFewSurvivors
from protocol.messages import Message, RoundEnd
from protocol.secagg.aggregate import Aggregate
from protocol.secagg.packing import pack, packed_size, unpack
from protocol.secagg.ring import Words
from protocol.telemetry import Tracer
from strategies.interface import Cutoff, ServerHalf

Onlooker = Callable[[int, Words], None]
"""Is shown each client's vector before it goes into the sum: only where nothing masks it. Called
off the event loop, for one client at a time. Raises UnusableVector for what no client sends."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a round works with; the same in every round."""

    model: GlobalModel
    rule: SumRule
    limits: Limits
    room: SpoolRoom
    status: Status
    tracer: Tracer
    strategy: ServerHalf
    onlookers: tuple[Onlooker, ...]
    hollow: bool = False
    """Whether vectors are phantoms, which leave the sum as it is."""


class Round:
    def __init__(
        self,
        place: Place,
        parties: Sequence[Client],
        around: Surroundings,
        cutoff: Cutoff | None = None,
    ) -> None:
        self.place = place
        self._number, self._attempt = place
        self._parties = {client.id: client for client in parties}
        self._around = around
        self._tracer = around.tracer
        self.pattern = around.model.pattern
        """Under which values travel, both ways; every upload names it."""
        self._summation = _started(around, place, tuple(self._parties))
        self._plain = around.rule.aggregation == "plain"
        told = {c: around.strategy.instruction(c) if self._plain else b"" for c in self._parties}
        self.portions = {client: around.model.portion(what) for client, what in told.items()}
        """What each client downloads and uploads."""
        self._aggregate = Aggregate(around.model.words, around.rule.ring_bits)
        self._unmasking = Unmasking(self._summation, self._aggregate)
        self._adding = asyncio.Lock()
        self._gathering: Gathering[object] = Gathering(())
        self._phase = ""
        self._step: Step | None = None
        self._cutoff = cutoff
        self._uploading: dict[int, asyncio.Timeout | None] = {}
        """By client, what cuts its transfer short; None once it is whole."""
        self._lost: dict[int, str] = {}
        self._gone: dict[int, str] = {}
        """Why a client that has left the round did; it may do so between two phases."""
        self._arrivals_s: dict[int, float] = {}
        self._started_s = 0.0
        self._spoilt = False
        self._telling: set[asyncio.Task[object]] = set()

    async def run(self) -> RoundResult:
        """Raises RoundFailed when too few clients are left; the model is then untouched."""
        self._started_s = self._tracer.now()
        try:
            with self._tracer.span("round", self._number):
                survivors = await self._sum()
                with self._tracer.span("apply", self._number):
                    applied = await asyncio.to_thread(
                        self._around.model.apply,
                        *(self._aggregate.words, len(survivors), self._number),
                    )
        except TooFewSurvivors as error:
            raise RoundFailed(f"{error}; lost: {self._lost_text()}") from error
        except UnusableSum as error:
            raise RoundFailed(f"the sum is no model: {error}") from error
        except ProtocolError as error:  # shares that give no secret show only once combined
            raise RoundFailed(f"the sum cannot be unmasked: {error}") from error
        finally:
            await self._unmasking.close()
        return RoundResult(
            self._number,
            self._attempt,
            tuple(self._parties),
            tuple(sorted(survivors)),
            dict(self._lost),
            dict(self._arrivals_s),
            applied,
            self._around.rule.aggregation,
        )

    async def _sum(self) -> Sequence[int]:
        """Leaves the plain sum in the aggregate; returns whose vectors it is of."""
        summation = self._summation
        for step in summation.opening:
            await self._ask(step)
        survivors = await self._collect()
        for step in summation.closing:
            await self._ask(step)
        await self._unmasking.finish()
        return survivors

    async def _collect(self) -> Sequence[int]:
        """Whoever gets a delivery downloads, trains and uploads; returns whose vectors came."""
        gathering = self._begin("collect", None, self._summation.deliveries())
        with self._tracer.span("collect", self._number):
            await self._wait_for_vectors(gathering)
        self._note_losses("collect", gathering)
        self._dismiss(gathering.lost)
        async with self._adding:  # a vector that was being added is in
            survivors = sorted(gathering.answers)
        if self._spoilt:
            raise RoundFailed("a vector could not be added whole: the sum is spoilt")
        if not survivors:
            raise TooFewSurvivors("no client's vector arrived")
        return survivors

    async def _wait_for_vectors(self, gathering: Gathering[object]) -> None:
        async with asyncio.TaskGroup() as group:
            cutting = self._cutoff and group.create_task(self._cut_off(gathering, self._cutoff))
            await gathering.wait(self._around.limits.training_s, exempt=self._uploading)
            if cutting:
                cutting.cancel()

    async def _cut_off(self, gathering: Gathering[object], cutoff: Cutoff) -> None:
        left_s = self._started_s + cutoff.after_s - self._tracer.now()
        await asyncio.sleep(max(0.0, left_s) * self._around.limits.second_s)
        await gathering.reach(cutoff.at_least)
        for client in list(gathering.awaited):
            gathering.lose(client, f"later than the round's deadline of {cutoff.after_s:.3g} s")
        for limit in self._uploading.values():
            if limit is not None:
                limit.reschedule(0.0)

    def _dismiss(self, late: Iterable[int]) -> None:
        """Who was not waited for need not go on."""
        for client in late:
            if client not in self._gone:
                self._send(self._parties[client].send(RoundEnd(self._number)))

    def _send(self, sending: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(sending)
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _ask(self, step: Step) -> None:
        """Carry out one exchange of control messages."""
        with self._tracer.span(step.phase, self._number):
            gathering = self._begin(step.phase, step, step.messages())
            await gathering.wait(self._around.limits.exchange_s)
        self._note_losses(step.phase, gathering)

    def _begin(
        self, phase: str, step: Step | None, messages: Mapping[int, Message]
    ) -> Gathering[object]:
        """Send each client its message; from now on its answer to `step` (None: a whole vector)
        is taken."""
        gathering = self._gathering = Gathering[object](messages)
        self._phase, self._step = phase, step
        self._around.status.enter(phase, gathering.awaited)
        for client, message in messages.items():
            if client in self._gone:
                gathering.lose(client, self._gone[client])
                continue
            self._send(self._tell(client, message, gathering))
        return gathering

    def _note_losses(self, phase: str, gathering: Gathering[object]) -> None:
        for client, reason in gathering.lost.items():
            self._lost[client] = phase
            self._tracer.event("client_lost", self._number, client, phase=phase, reason=reason)

    async def _tell(self, client: int, message: Message, gathering: Gathering[object]) -> None:
        if not await self._parties[client].send(message):
            gathering.lose(client, ABSENT)

    def deliver(self, client: int, message: Message) -> None:
        """A control message of this round. What is not due is refused and changes nothing."""
        step = self._step
        due = step is not None and type(message) is step.answer
        if due and client in self._gathering.spared:
            self._gathering.spared.discard(client)
            return
        if step is None or not due or not self._gathering.awaits(client):
            self._refused(client, f"{type(message).__name__} is not due")
            return
        try:
            step.take(client, message)
        except ProtocolError as error:
            self._refused(client, str(error))
            self._gathering.lose(client, str(error))
            return
        self._gathering.answer(client, message)
        self._unmasking.go_on()
        if self._summation.enough():
            self._gathering.finish()

    def lose(self, client: int, reason: str) -> None:
        """The client has left the round. Its vector stays if it is whole already."""
        self._gone.setdefault(client, reason)
        self._gathering.lose(client, reason)

    async def accept_vector(self, client: int, request: web.Request) -> None:
        """Take a whole, checked vector into the sum. Raises ProtocolError if none is due from
        this client, UploadRejected if what came is not one."""
        gathering = self._gathering
        due = self._phase == "collect" and gathering.awaits(client)
        if not due or client in self._uploading:
            raise ProtocolError("no vector is due from this client")
        if request.headers.get(pattern.HEADER, "") != self.pattern.text:
            raise ProtocolError("the vector is of other coordinates than this round's")
        uploads, ring_bits = self._around.status.uploads, self._around.rule.ring_bits
        size = packed_size(self.portions[client].words, ring_bits)
        uploads[client] = progress = Transfer(0, size)
        checksum = UploadChecksum(self._parties[client].credential, self.place)
        limits, hollow = self._around.limits, self._around.hollow
        upload = Upload(request, checksum, progress, limits.stall_s, hollow)
        try:
            upload.check_length()
            if hollow:
                arrived_s = await self._received(client, upload.receive_hollow())
                await self._add(client, None, gathering)
            else:
                with self._around.room.place() as spool:
                    arrived_s = await self._received(client, upload.receive(spool))
                    await self._add(client, spool, gathering)
        except TimeoutError as error:
            raise ProtocolError("the round has gone on without this client") from error
        except UploadRejected as rejection:
            gathering.lose(client, f"upload: {rejection}")
            raise
        finally:
            gathering.lose(client, "its upload could not be taken")  # unless it has been, or is
            self._uploading.pop(client, None)
            uploads.pop(client, None)
        self._arrivals_s[client] = arrived_s
        self._tracer.event(
            "upload_received", self._number, client, bytes=size, seconds_since_plan=arrived_s
        )

    async def _received(self, client: int, receiving: Coroutine[Any, Any, None]) -> float:
        """Seconds from the plan to the vector's last byte."""
        async with asyncio.timeout(None) as self._uploading[client]:
            await receiving
        self._uploading[client] = None
        return self._tracer.now() - self._started_s

    async def _add(self, client: int, spool: Spool | None, gathering: Gathering[object]) -> None:
        """Under the lock, so that nobody is lost or asked on while a vector is half in the sum."""
        async with self._adding:
            if spool is not None and self._plain and self._around.onlookers:
                await asyncio.to_thread(self._show, client, spool)
            if not gathering.awaits(client):
                raise ProtocolError("the round has gone on without this client")
            gathering.answer(client, None)
            self._summation.added(client)
            if spool is None:
                return
            try:
                await asyncio.to_thread(self._include, client, spool)
            except BaseException:
                self._spoilt = True  # for good, whoever is added afterwards
                raise

    def _show(self, client: int, spool: Spool) -> None:
        try:
            with self._packed(client, spool) as packed:
                for onlooker in self._around.onlookers:
                    onlooker(client, unpack(packed, self._around.rule.ring_bits))
        except UnusableVector as error:
            raise UploadRejected(str(error)) from error

    def _include(self, client: int, spool: Spool) -> None:
        with self._packed(client, spool) as packed:
            self._aggregate.add(packed)

    @contextmanager
    def _packed(self, client: int, spool: Spool) -> Iterator[memoryview]:
        """A client's vector at the sum's length. Under the lock: what waits in a file is in memory
        only meanwhile."""
        portion, ring_bits = self.portions[client], self._around.rule.ring_bits
        with spool.whole() as room, room[: packed_size(portion.words, ring_bits)] as packed:
            if len(packed) < self._aggregate.packed_size:
                yield memoryview(pack(portion.spread(unpack(packed, ring_bits)), ring_bits))
            else:
                yield packed

    def _refused(self, client: int, reason: str) -> None:
        self._tracer.event("message_refused", self._number, client, reason=reason)

    def _lost_text(self) -> str:
        return ", ".join(f"{c} in {phase}" for c, phase in sorted(self._lost.items())) or "nobody"


def _started(around: Surroundings, place: Place, parties: tuple[int, ...]) -> Summation:
    rule, model = around.rule, around.model.vector.astype("<f4", copy=False)
    try:
        known = memoryview(model.data).cast("B")
        plan = rule.plan(place, parties, known, around.model.pattern)
        return rule.start(plan, around.strategy.instruction)
    except (LocalError, ProtocolError) as error:
        # A fleet that was large enough can shrink between rounds.
        raise RoundFailed(f"no secure sum among {len(parties)} clients: {error}") from error
