"""How the coordinator comes by a sum: what to ask of whom, step by step. Pure: no sockets.

A `Summation` says which messages open a round, what is delivered to those who then train and
upload, and which messages close it. `coordinator.round` carries the steps out, whichever it is.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from protocol.errors import ProtocolError, TooFewSurvivors
from protocol.messages import (
    Attestations,
    Consistency,
    Message,
    Note,
    Notes,
    Plan,
    PublicKeys,
    SealedShares,
    Unmask,
)
from protocol.pattern import NO_PATTERN, PatternName
from protocol.secagg.active import SignedServer
from protocol.secagg.choosing import ChoosingServer
from protocol.secagg.keys import Randomness
from protocol.secagg.masks import Mask
from protocol.secagg.pinned import Pinned
from protocol.secagg.server import ServerMachine
from protocol.secagg.terms import Terms
from protocol.secagg.threshold import SMALLEST_CROWD
from protocol.sizes import GRAPH_SEED_BYTES

Outgoing = Mapping[int, Message]
Place = tuple[int, int]
"""(round, attempt)."""


@dataclass(frozen=True, slots=True)
class Step:
    """One exchange. `messages` closes the step before and says what to send to whom: whoever is
    not in it has no part any more. Raises TooFewSurvivors."""

    phase: str
    answer: type[Message]
    messages: Callable[[], Outgoing]
    take: Callable[[int, Any], None]
    """Takes a client's answer; raises ProtocolError and then has changed nothing."""


class Summation(Protocol):
    opening: tuple[Step, ...]
    closing: tuple[Step, ...]

    def deliveries(self) -> Outgoing:
        """For whoever may now download, train and upload."""

    def added(self, client: int) -> None:
        """This client's whole vector is in the sum."""

    def enough(self) -> bool:
        """Whether the step under way needs no more answers."""

    def recoverable(self) -> Sequence[int]:
        """Clients whose masks can be worked out before all answers are in, each told once."""

    def masks_of(self, clients: Sequence[int]) -> tuple[Mask, ...]:
        """Of such clients, what to remove from the vectors' sum. Not on the event loop: it takes
        its time. Raises ProtocolError if the sum is lost."""

    def masks(self) -> tuple[Mask, ...]:
        """The others, once all steps are done."""


class PlainSummation:
    """Notes in the clear; vectors that anybody can read."""

    closing: tuple[Step, ...] = ()

    def __init__(self, plan: Plan, instruction: Callable[[int], bytes]) -> None:
        self._place = (plan.round, plan.attempt)
        self._instruction = instruction
        self._notes: dict[int, bytes] = {}
        planned = dict.fromkeys(plan.clients, plan)
        self.opening: tuple[Step, ...] = (Step("shares", Note, lambda: planned, self._take),)

    def _take(self, client: int, message: Note) -> None:
        if (message.round, message.attempt) != self._place:
            raise ProtocolError(f"Note of client {client} is of another round or attempt")
        self._notes[client] = message.note

    def deliveries(self) -> Outgoing:
        if not self._notes:
            raise TooFewSurvivors("no client answered the plan")
        notes = dict(sorted(self._notes.items()))
        told = {c: self._instruction(c) for c in notes}
        alike = {what: Notes(*self._place, notes, what) for what in set(told.values())}
        return {c: alike[what] for c, what in told.items()}

    def added(self, client: int) -> None:
        return

    def enough(self) -> bool:
        return False

    def recoverable(self) -> Sequence[int]:
        return ()

    def masks_of(self, clients: Sequence[int]) -> tuple[Mask, ...]:
        return ()

    def masks(self) -> tuple[Mask, ...]:
        return ()


class SecureSummation:
    """Masks and shares, against a semi-honest coordinator."""

    def __init__(self, plan: Plan, machine: ServerMachine) -> None:
        self.machine = machine
        self.opening: tuple[Step, ...] = (
            Step("keys", PublicKeys, lambda: dict.fromkeys(plan.clients, plan), self._take_keys),
            Step("shares", SealedShares, self._rosters, machine.receive_shares),
        )
        self.closing: tuple[Step, ...] = (
            Step("unmask", Unmask, self._survivors, machine.receive_unmask),
        )

    def _take_keys(self, client: int, message: PublicKeys) -> None:
        self.machine.receive_keys(client, message)

    def _rosters(self) -> Outgoing:
        return {client: self.machine.roster_for(client) for client in self.machine.close_keys()}

    def deliveries(self) -> Outgoing:
        machine = self.machine
        return {client: machine.delivery_for(client) for client in machine.close_shares()}

    def _survivors(self) -> Outgoing:
        machine = self.machine
        return {client: machine.survivors_for(client) for client in machine.close_vectors()}

    def added(self, client: int) -> None:
        self.machine.vector_added(client)

    def enough(self) -> bool:
        return self.machine.recoverable

    def recoverable(self) -> Sequence[int]:
        return self.machine.take_recoverable()

    def masks_of(self, clients: Sequence[int]) -> tuple[Mask, ...]:
        return self.machine.masks_of(clients)

    def masks(self) -> tuple[Mask, ...]:
        return self.machine.close_unmasking()


class GuardedSummation(SecureSummation):
    """The same where clients believe the coordinator nothing: keys are signed, and who survived."""

    def __init__(self, plan: Plan, guard: SignedServer | ChoosingServer) -> None:
        super().__init__(plan, guard.machine)
        self._guard = guard
        (unmask,) = self.closing
        if isinstance(guard, ChoosingServer):
            consistency = Step(
                "consistency", Attestations, self._survivors, guard.receive_attestations
            )
        else:
            consistency = Step(
                "consistency", Consistency, self._survivors, guard.receive_consistency
            )
        self.closing = (consistency, Step("unmask", Unmask, self._signatures, unmask.take))

    def _take_keys(self, client: int, message: PublicKeys) -> None:
        self._guard.receive_keys(client, message)

    def _rosters(self) -> Outgoing:
        return {client: self._guard.roster_for(client) for client in self._guard.close_keys()}

    def _signatures(self) -> Outgoing:
        guard = self._guard
        return {client: guard.signatures_for(client) for client in guard.close_consistency()}


@dataclass(frozen=True, slots=True)
class SumRule:
    """How vectors are summed in this run."""

    aggregation: str
    session: bytes = field(repr=False)
    ring_bits: int
    degree: Callable[[int], tuple[int, int]]
    """(threshold, neighbours) among so many parties; neighbours 0: all."""
    identities: Mapping[int, bytes] | None = None
    """Pinned identity keys by client: their presence makes the sum the signed variant."""
    corrupt: int = 0
    """How many of all clients may be in league with an active coordinator."""
    crowd: int = SMALLEST_CROWD
    """Honest clients that a sum must be over, at least, which an active coordinator can learn."""
    randomness: Callable[[str], Randomness] = lambda purpose: os.urandom
    """A source for each purpose."""
    machine: Callable[[Terms], ServerMachine] = ServerMachine
    training_digest: Callable[[memoryview, bytes], bytes] = lambda model, pattern: b""
    """Of what clients train on a round's model under its pattern, which the signed variant has them
    agree on."""

    def plan(
        self,
        place: Place,
        parties: tuple[int, ...],
        model: memoryview,
        pattern: PatternName = NO_PATTERN,
    ) -> Plan:
        plan = replace(
            self._plan(place, parties),
            pattern_version=pattern.version,
            pattern_digest=pattern.digest,
            surviving=pattern.surviving,
        )
        if self.identities is None or self.aggregation == "plain":
            return plan
        return replace(plan, training=self.training_digest(model, pattern.digest))

    def _plan(self, place: Place, parties: tuple[int, ...]) -> Plan:
        if self.aggregation == "plain":
            return Plan(*place, parties, self.aggregation, 0)
        threshold, neighbours = self.degree(len(parties))
        drawn = neighbours and self.identities is None  # otherwise clients choose
        draw = self.randomness(f"graph of round {place[0]} attempt {place[1]}")
        seed = draw(GRAPH_SEED_BYTES) if drawn else b""
        return Plan(*place, parties, self.aggregation, threshold, neighbours, seed)

    def start(self, plan: Plan, instruction: Callable[[int], bytes]) -> Summation:
        """`instruction` says what a client is told to train, which nobody is in a secure sum."""
        if plan.aggregation == "plain":
            return PlainSummation(plan, instruction)
        terms = Terms.of_plan(self.session, plan, active=self.identities is not None)
        machine = self.machine(terms)
        if self.identities is None:
            return SecureSummation(plan, machine)
        pinned = Pinned(terms, self.identities, self.corrupt, self.crowd)
        guard = ChoosingServer if plan.aggregation == "secagg+" else SignedServer
        return GuardedSummation(plan, guard(machine, pinned))
