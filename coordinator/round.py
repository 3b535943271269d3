"""One round, top to bottom: open, collect, unmask, apply.

A client that is lost, late or garbled in a phase is out of the round from there on; the round
goes on with the others as long as the protocol can, and says who was lost, when and why.
"""

import asyncio
import mmap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from aiohttp import web

from coordinator.errors import RoundFailed
from coordinator.gathering import Gathering
from coordinator.limits import Limits
from coordinator.model import GlobalModel
from coordinator.registry import ABSENT, Client
from coordinator.status import Status, Transfer
from coordinator.uploads import UploadRejected, spool
from protocol.errors import ProtocolError, TooFewSurvivors
from protocol.messages import Message, Note, Notes, Plan, PublicKeys, SealedShares, Unmask
from protocol.secagg.aggregate import Aggregate
from protocol.secagg.keys import Sum
from protocol.secagg.server import ServerMachine
from protocol.secagg.terms import Terms
from protocol.telemetry import Json, Tracer

Place = tuple[int, int]
"""(round, attempt)."""


@dataclass(frozen=True, slots=True)
class SumRule:
    """How vectors are summed in this run."""

    aggregation: str
    session: bytes = field(repr=False)
    ring_bits: int
    threshold: Callable[[int], int]
    """Shares needed among so many parties."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a round works with; the same in every round."""

    model: GlobalModel
    rule: SumRule
    limits: Limits
    status: Status
    tracer: Tracer


@dataclass(frozen=True, slots=True)
class RoundResult:
    round: int
    attempt: int
    participants: tuple[int, ...]
    survivors: tuple[int, ...]
    lost: Mapping[int, str]
    """Phase in which each lost client was lost."""
    arrivals_s: Mapping[int, float]
    """Seconds from the plan to the whole upload."""
    clipped_fraction: float
    aggregation: str

    def to_notes(self) -> dict[str, Json]:
        return {
            "attempt": self.attempt,
            "participants": list(self.participants),
            "survivors": list(self.survivors),
            "lost": {str(client): phase for client, phase in self.lost.items()},
            "clipped_fraction": self.clipped_fraction,
            "aggregation": self.aggregation,
        }


class Round:
    def __init__(self, place: Place, parties: Sequence[Client], around: Surroundings) -> None:
        self.place = place
        self._number, self._attempt = place
        self._parties = {client.id: client for client in parties}
        self._around = around
        self._tracer = around.tracer
        self._aggregate = Aggregate(around.model.words, around.rule.ring_bits)
        self._adding = asyncio.Lock()
        self._gathering: Gathering[object] = Gathering(())
        self._expected: type[Message] | None = Plan  # nothing is due from clients yet
        self._accept: Mapping[type[Message], Callable[[int, Any], None]] = {}
        self._uploading: set[int] = set()
        self._lost: dict[int, str] = {}
        self._arrivals_s: dict[int, float] = {}
        self._started_s = 0.0
        self._machine: ServerMachine | None = None
        self._telling: set[asyncio.Task[None]] = set()

    async def run(self) -> RoundResult:
        """Raises RoundFailed when too few clients are left; the model is then untouched."""
        self._started_s = self._tracer.now()
        try:
            with self._tracer.span("round", self._number):
                survivors = await self._sum()
                with self._tracer.span("apply", self._number):
                    clipped = await asyncio.to_thread(
                        self._around.model.apply, self._aggregate.words, len(survivors)
                    )
        except TooFewSurvivors as error:
            raise RoundFailed(f"{error}; lost: {self._lost_text()}") from error
        return RoundResult(
            self._number,
            self._attempt,
            tuple(self._parties),
            tuple(sorted(survivors)),
            dict(self._lost),
            dict(self._arrivals_s),
            clipped,
            self._around.rule.aggregation,
        )

    async def _sum(self) -> Sequence[int]:
        """Leaves the plain sum in the aggregate; returns whose vectors it is of."""
        if self._around.rule.aggregation == "plain":
            return await self._collect(await self._open_plainly())
        machine = self._machine = ServerMachine(self._terms())
        await self._collect(await self._open_securely(machine))
        survivors = machine.close_vectors()
        await self._ask("unmask", Unmask, {c: machine.survivors_for(c) for c in survivors})
        masks = machine.close_unmasking()
        await asyncio.to_thread(self._aggregate.remove, masks)
        return sorted(survivors)

    def _terms(self) -> Terms:
        rule, parties = self._around.rule, tuple(self._parties)
        sum_ = Sum(rule.session, self._number, self._attempt)
        return Terms.complete(sum_, parties, rule.threshold(len(parties)))

    def _plan(self) -> dict[int, Message]:
        rule, parties = self._around.rule, tuple(self._parties)
        threshold = 0 if rule.aggregation == "plain" else rule.threshold(len(parties))
        plan = Plan(self._number, self._attempt, parties, rule.aggregation, threshold)
        return dict.fromkeys(parties, plan)

    async def _open_securely(self, machine: ServerMachine) -> dict[int, Message]:
        """Keys and shares; returns what to deliver to whom."""
        self._accept = {
            PublicKeys: machine.receive_keys,
            SealedShares: machine.receive_shares,
            Unmask: machine.receive_unmask,
        }
        await self._ask("keys", PublicKeys, self._plan())
        present = machine.close_keys()
        await self._ask("shares", SealedShares, {c: machine.roster_for(c) for c in present})
        return {client: machine.delivery_for(client) for client in machine.close_shares()}

    async def _open_plainly(self) -> dict[int, Message]:
        """Notes in the clear: plain aggregation hides nothing from the coordinator."""
        notes: dict[int, bytes] = {}

        def take(client: int, message: Note) -> None:
            if (message.round, message.attempt) != self.place:
                raise ProtocolError("a note of another round")
            notes[client] = message.note

        self._accept = {Note: take}
        await self._ask("shares", Note, self._plan())
        if not notes:
            raise TooFewSurvivors("no client answered the plan")
        return dict.fromkeys(notes, Notes(self._number, self._attempt, dict(sorted(notes.items()))))

    async def _collect(self, deliveries: Mapping[int, Message]) -> Sequence[int]:
        """Whoever gets a delivery downloads, trains and uploads; returns whose vectors came."""
        gathering = await self._ask("collect", None, deliveries)
        async with self._adding:  # a vector that was being added is in
            survivors = sorted(gathering.answers)
        if not survivors:
            raise TooFewSurvivors("no client's vector arrived")
        return survivors

    async def _ask(
        self, phase: str, kind: type[Message] | None, messages: Mapping[int, Message]
    ) -> Gathering[object]:
        """Send each client its message and wait for its answer of `kind` (None: a vector)."""
        limits = self._around.limits
        limit_s = limits.exchange_s if kind else limits.training_s
        gathering = self._gathering = Gathering[object](messages)
        self._expected = kind
        self._around.status.enter(phase, gathering.awaited)
        with self._tracer.span(phase, self._number):
            for client, message in messages.items():
                task = asyncio.create_task(self._tell(client, message, gathering))
                self._telling.add(task)
                task.add_done_callback(self._telling.discard)
            await gathering.wait(limit_s, exempt=self._uploading)
        for client, reason in gathering.lost.items():
            self._lost[client] = phase
            self._tracer.event("client_lost", self._number, client, phase=phase, reason=reason)
        return gathering

    async def _tell(self, client: int, message: Message, gathering: Gathering[object]) -> None:
        if not await self._parties[client].send(message):
            gathering.lose(client, ABSENT)

    def deliver(self, client: int, message: Message) -> None:
        """A control message of this round. What is not due is refused and changes nothing."""
        if type(message) is not self._expected or not self._gathering.awaits(client):
            self._refused(client, f"{type(message).__name__} is not due")
            return
        try:
            self._accept[type(message)](client, message)
        except ProtocolError as error:
            self._refused(client, str(error))
            self._gathering.lose(client, str(error))
            return
        self._gathering.answer(client, message)
        if self._machine is not None and self._machine.recoverable:
            self._gathering.finish()

    def lose(self, client: int, reason: str) -> None:
        """The client is gone. Its vector stays if it is whole already."""
        self._gathering.lose(client, reason)

    async def accept_vector(self, client: int, request: web.Request) -> None:
        """Take a whole, checked vector into the sum. Raises ProtocolError if none is due from
        this client, UploadRejected if what came is not one."""
        gathering = self._gathering
        if self._expected is not None or not gathering.awaits(client) or client in self._uploading:
            raise ProtocolError("no vector is due from this client")
        self._uploading.add(client)
        uploads = self._around.status.uploads
        uploads[client] = progress = Transfer(0, self._aggregate.packed_size)
        try:
            size, stall_s = self._aggregate.packed_size, self._around.limits.stall_s
            with await spool(request, size, stall_s, progress) as file:
                arrived_s = self._tracer.now() - self._started_s
                await self._add(client, file, gathering)
        except UploadRejected as rejection:
            gathering.lose(client, f"upload: {rejection}")
            raise
        finally:
            self._uploading.discard(client)
            uploads.pop(client, None)
        self._arrivals_s[client] = arrived_s
        self._tracer.event(
            "upload_received", self._number, client, bytes=size, seconds_since_plan=arrived_s
        )

    async def _add(self, client: int, file: IO[bytes], gathering: Gathering[object]) -> None:
        """Under the lock, so that nobody is lost or asked on while a vector is half in the sum."""
        async with self._adding:
            if not gathering.awaits(client):
                raise ProtocolError("the round has gone on without this client")
            gathering.answer(client, None)
            if self._machine is not None:
                self._machine.vector_added(client)
            with (
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
                memoryview(mapped) as packed,
            ):
                await asyncio.to_thread(self._aggregate.add, packed)

    def _refused(self, client: int, reason: str) -> None:
        self._tracer.event("message_refused", self._number, client, reason=reason)

    def _lost_text(self) -> str:
        return ", ".join(f"{c} in {phase}" for c, phase in sorted(self._lost.items())) or "nobody"
