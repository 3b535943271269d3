"""This client as a party of one aggregation: drives the pure machine, charges its work.

`SecureParty` masks; `PlainParty` sends the same words unmasked and its notes in the clear.
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from protocol.messages import Delivery, Note, Notes, Plan, Roster, Signatures, Survivors
from protocol.secagg import cost
from protocol.secagg.client import ClientMachine
from protocol.secagg.guarded import GuardedClient
from protocol.secagg.prepared import PreparedMask
from protocol.secagg.ring import Words
from protocol.work import Tally, total
from worker.channel import Channel
from worker.client import Device


class Party(Protocol):
    unmasked: bool
    """Whether it has told what helps to remove masks from a sum."""

    @property
    def instruction(self) -> bytes:
        """What this client is told to train, once open; empty: nothing."""

    async def open(self, note: bytes) -> Mapping[int, bytes]:
        """Agree on keys if need be, exchange notes; returns everybody's, one's own included."""

    def expand_ahead(self, length: int, ring_bits: int) -> None:
        """Once open: begin to expand the masks for so many words, beside whatever comes next."""

    async def mask(self, words: Words) -> None:
        """Turn the words in place into what the coordinator may see."""

    async def unmask(self) -> None:
        """Help to remove the masks from the sum."""

    async def close(self) -> None:
        """The round is over for this client, whether it came to its end or not."""


class PlainParty:
    unmasked = False

    def __init__(self, plan: Plan, channel: Channel, device: Device) -> None:
        self.instruction = b""
        self._plan = plan
        self._channel = channel
        self._tracer = device.tracer

    async def open(self, note: bytes) -> Mapping[int, bytes]:
        with self._tracer.span("shares", self._plan.round):
            await self._channel.send(Note(self._plan.round, self._plan.attempt, note))
            told = await self._channel.expect(Notes)
            self.instruction = told.instruction
            return told.notes

    def expand_ahead(self, length: int, ring_bits: int) -> None:
        return

    async def mask(self, words: Words) -> None:
        return

    async def unmask(self) -> None:
        return

    async def close(self) -> None:
        return


class _MaskingParty:
    """What both kinds of secure sum have in common for a client."""

    instruction = b""
    unmasked = False

    def __init__(
        self, plan: Plan, channel: Channel, device: Device, machine: ClientMachine | GuardedClient
    ) -> None:
        self._round = plan.round
        self._channel = channel
        self._run = device.cpu.run
        self._tracer = device.tracer
        self._machine = machine
        self._expanding: asyncio.Task[PreparedMask] | None = None

    async def open(self, note: bytes) -> Mapping[int, bytes]:
        machine, run = self._machine, self._run
        with self._tracer.span("keys", self._round):
            work = total(cost.advertise(), self._signatures(made=1, checked=0))
            await self._channel.send(await run(work, machine.advertise))
            roster = await self._channel.expect(Roster)
        with self._tracer.span("shares", self._round):
            checks = self._signatures(made=0, checked=len(roster.keys))
            work = total(cost.receive_roster(len(roster.keys) - 1), checks)
            await run(work, machine.receive_roster, roster)
            await self._channel.send(await run(machine.share_cost(), machine.share, note))
            delivery = await self._channel.expect(Delivery)
            work = cost.receive_delivery(len(delivery.sealed))
            notes = await run(work, machine.receive_delivery, delivery)
        return {**notes, machine.client: note}

    def expand_ahead(self, length: int, ring_bits: int) -> None:
        self._expanding = asyncio.create_task(self._expand(length, ring_bits))

    async def _expand(self, length: int, ring_bits: int) -> PreparedMask:
        """Charged like masking; it shares neither thread nor core with training."""
        prepared = PreparedMask(self._machine, length, ring_bits)
        start_s = self._tracer.now()
        await self._run(prepared.cost(), prepared.expand)
        taken_s = self._tracer.now() - start_s
        self._tracer.event("masks_expanded", self._round, seconds=taken_s)
        return prepared

    async def mask(self, words: Words) -> None:
        if self._expanding is None:
            await self._run(self._machine.mask_cost(words), self._machine.mask, words, 0)
        else:
            prepared = await self._expanding
            await asyncio.to_thread(prepared.add_to, words)

    async def close(self) -> None:
        if self._expanding is not None:
            self._expanding.cancel()
            await asyncio.gather(self._expanding, return_exceptions=True)
            self._expanding = None

    def _signatures(self, made: int, checked: int) -> Tally:
        return {}


class SecureParty(_MaskingParty):
    """Against a semi-honest coordinator."""

    def __init__(
        self, plan: Plan, channel: Channel, device: Device, machine: ClientMachine
    ) -> None:
        super().__init__(plan, channel, device, machine)
        self._client = machine

    async def unmask(self) -> None:
        survivors = await self._channel.expect(Survivors)
        with self._tracer.span("unmask", self._round):
            answer = self._client.unmask(survivors)
            self.unmasked = True
            await self._channel.send(answer)


class GuardedParty(_MaskingParty):
    """Against an active coordinator: everything signed, nothing revealed before consistency."""

    def __init__(
        self, plan: Plan, channel: Channel, device: Device, machine: GuardedClient
    ) -> None:
        super().__init__(plan, channel, device, machine)
        self._guarded = machine

    async def unmask(self) -> None:
        survivors = await self._channel.expect(Survivors)
        with self._tracer.span("consistency", self._round):
            work = self._guarded.sign_cost(survivors)
            await self._channel.send(await self._run(work, self._guarded.sign, survivors))
            signatures = await self._channel.expect(Signatures)
        with self._tracer.span("unmask", self._round):
            work = self._signatures(made=0, checked=len(signatures.signatures))
            answer = await self._run(work, self._guarded.unmask, signatures)
            self.unmasked = True
            await self._channel.send(answer)

    def _signatures(self, made: int, checked: int) -> Tally:
        return cost.signatures(made, checked)
