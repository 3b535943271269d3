"""The run: wait for the fleet, play the rounds, keep count of who comes and goes."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from aiohttp import web

from coordinator.admission import Admission
from coordinator.errors import RoundFailed, RunFailed
from coordinator.intake import TelemetryIntake
from coordinator.limits import Limits
from coordinator.model import GlobalModel
from coordinator.registry import Client, Registry
from coordinator.result import RoundResult
from coordinator.round import Onlooker, Round, Surroundings
from coordinator.status import Status
from coordinator.summation import SumRule
from coordinator.uploads import SpoolRoom
from protocol.messages import Failed, Finish, Message, Ready, RoundEnd
from protocol.secagg.packing import packed_size
from protocol.telemetry import Tracer
from strategies.interface import ServerHalf

GOODBYE_S = 5.0
"""How long dismissed workers may take to leave and, from other processes, to send their last
telemetry; those that are gone already cost nothing."""


SPOOL_MEMORY_BYTES = 2**27
"""For vectors under way, whatever the number of clients; what does not fit goes to files."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a run begins: anew, or after the last round that was finished before a restart."""

    after: int = 0
    attempt: int = 1
    """Of the first round: a round that was cut off has been tried already."""
    arrivals_s: Mapping[int, float] = field(default_factory=dict)


Keep = Callable[[int, Mapping[int, float]], None]
"""Is told each finished round, and everybody's last arrival."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a coordinator is made of; the composition hands it in."""

    model: GlobalModel
    strategy: ServerHalf
    rule: SumRule
    admission: Admission
    tracer: Tracer
    intake: TelemetryIntake
    limits: Limits
    onlookers: tuple[Onlooker, ...] = ()
    hollow: bool = False
    """Whether bodies have a length and no content: nothing of them is computed."""


class Coordinator:
    def __init__(self, parts: Parts, clients: int, rounds: int) -> None:
        self.model = parts.model
        self.admission = parts.admission
        self.tracer = parts.tracer
        self.intake = parts.intake
        self.limits = parts.limits
        self.hollow = parts.hollow
        self.registry = Registry(clients)
        self.status = Status(rounds)
        self.current_round: Round | None = None
        self._strategy = parts.strategy
        room = SpoolRoom(packed_size(parts.model.words, parts.rule.ring_bits), SPOOL_MEMORY_BYTES)
        self._around = Surroundings(
            parts.model,
            parts.rule,
            parts.limits,
            room,
            self.status,
            parts.tracer,
            parts.strategy,
            parts.onlookers,
            parts.hollow,
        )
        self._beginning = Beginning()
        self._keep: Keep = lambda round_, arrivals_s: None
        self._arrivals: dict[int, float] = {}
        self._changed = asyncio.Event()
        self._finished: Finish | None = None

    @property
    def strategy(self) -> ServerHalf:
        return self._strategy

    def begin(self, beginning: Beginning, keep: Keep) -> None:
        """Before `run`: where it begins, and who hears of finished rounds."""
        self._beginning, self._keep = beginning, keep
        self._arrivals = dict(beginning.arrivals_s)

    def show_to(self, onlooker: Onlooker) -> None:
        """Before `run`: who else is shown each client's vector, where nothing masks it."""
        onlookers = (*self._around.onlookers, onlooker)
        self._around = replace(self._around, onlookers=onlookers)

    async def run(self) -> None:
        """Play all rounds. Raises RunFailed when the fleet does not assemble or a round fails."""
        try:
            await self._assemble()
            attempt, first = self._beginning.attempt, self._beginning.after + 1
            for number in range(first, self.status.rounds + 1):
                await self._play(number, attempt if number == first else 1)
        except RunFailed:
            await self.finish("the run failed")
            raise
        await self.finish("all rounds played")

    async def finish(self, reason: str) -> None:
        """Dismiss the workers and wait a little for them to hand in their telemetry and go. Who
        comes back later is told as well."""
        self._finished = Finish(reason)
        await self._tell(self.registry, self._finished)
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                while any(c.present for c in self.registry) or not self.intake.complete:
                    self._changed.clear()
                    await self._changed.wait()

    async def _tell(self, clients: Iterable[Client], message: Message) -> None:
        """A client that does not take its message in time is left to its heartbeats."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.limits.exchange_s):
                await asyncio.gather(*(client.send(message) for client in clients))

    async def _assemble(self) -> None:
        try:
            async with asyncio.timeout(self.limits.join_s):
                while self.registry.ready < self.registry.size or self.registry.missing():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            missing = self.registry.missing()
            raise RunFailed(
                f"{len(missing)} of {self.registry.size} workers did not join within "
                f"{self.limits.join_s:g} s: places {_listed(missing)}"
            ) from error

    async def _play(self, number: int, attempt: int) -> None:
        participants = self._strategy.participants(
            number, self.registry.available(), dict(self._arrivals)
        )
        self.status.round = number
        for place, reason in self._strategy.left_out().items():
            self.tracer.event("client_left_out", number, place, reason=reason)
        parties = [self.registry[client] for client in participants]
        try:
            cutoff = self._strategy.cutoff(number)
            self.current_round = Round((number, attempt), parties, self._around, cutoff)
            result = await self.current_round.run()
        except RoundFailed as failure:
            self.tracer.event("round_failed", number, reason=str(failure))
            raise RunFailed(f"round {number}: {failure}") from failure
        finally:
            self.current_round = None
        self._arrivals.update(result.arrivals_s)
        await self._tell(parties, RoundEnd(number))
        await self._evaluate(result)
        self._keep(number, dict(self._arrivals))

    async def _evaluate(self, result: RoundResult) -> None:
        self.status.enter("evaluate", set())
        with self.tracer.span("evaluate", result.round):
            evaluation = await self.model.evaluate()
        self.status.last_metric = evaluation.metric
        self.tracer.event(
            "round_finished",
            result.round,
            None,
            **result.to_notes(),
            metric=evaluation.metric,
            loss=evaluation.loss,
            per_client=list(evaluation.per_client),
        )

    async def connected(self, client: Client, socket: web.WebSocketResponse, back: bool) -> None:
        previous, client.socket = client.socket, socket
        self.registry.set_ready(client, False)
        if previous is not None:
            self._lose(client, "it connected anew")
            await previous.close()
        if self._finished is not None:
            await client.send(self._finished)
        if back:
            self.tracer.event("client_back", self.status.round, client.id)
        else:
            self.tracer.event("client_joined", 0, client.id, device=client.device)

    def disconnected(self, client: Client, socket: web.WebSocketResponse, reason: str) -> None:
        if client.socket is socket:
            client.socket = None
            self.registry.set_ready(client, False)
            if not client.was_ready:
                self.registry.release(client)
            self.status.joined = self.registry.ready
            self._changed.set()
            self._lose(client, reason)

    def deliver(self, client: Client, message: Message) -> None:
        match message:
            case Ready(examples):
                client.examples = examples
                self.registry.set_ready(client, True)
                self.status.joined = self.registry.ready
                self._changed.set()
            case Failed(round_, reason) if self.current_round and round_ == self.status.round:
                self._lose(client, f"it reported: {reason}")
            case _ if self.current_round is not None:
                self.current_round.deliver(client.id, message)

    def told(self, client: Client, batch: bytes, now_s: float) -> None:
        """Telemetry beside the links. Raises ProtocolError if it is none."""
        begun = max(self.status.round, self._beginning.after)
        self.intake.accept(client.id, batch, now_s, begun)
        self._changed.set()

    def _lose(self, client: Client, reason: str) -> None:
        if self.current_round is not None:
            self.current_round.lose(client.id, reason)


def _listed(places: list[int]) -> str:
    shown = ", ".join(map(str, places[:10]))
    return shown + (", …" if len(places) > 10 else "")
