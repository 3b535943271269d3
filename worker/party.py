"""This client as a party of one aggregation: drives the pure machine, charges its work.

`SecureParty` masks; `PlainParty` sends the same words unmasked and its notes in the clear.
"""

from collections.abc import Mapping
from typing import Protocol

from protocol.messages import Delivery, Note, Notes, Plan, Roster, Survivors
from protocol.secagg import cost
from protocol.secagg.client import ClientMachine
from protocol.secagg.ring import Words
from worker.channel import Channel
from worker.client import Device


class Party(Protocol):
    async def open(self, note: bytes) -> Mapping[int, bytes]:
        """Agree on keys if need be, exchange notes; returns everybody's, one's own included."""

    async def mask(self, words: Words) -> None:
        """Turn the words in place into what the coordinator may see."""

    async def unmask(self) -> None:
        """Help to remove the masks from the sum."""


class PlainParty:
    def __init__(self, plan: Plan, channel: Channel, device: Device) -> None:
        self._plan = plan
        self._channel = channel
        self._tracer = device.tracer

    async def open(self, note: bytes) -> Mapping[int, bytes]:
        with self._tracer.span("shares", self._plan.round):
            await self._channel.send(Note(self._plan.round, self._plan.attempt, note))
            return (await self._channel.expect(Notes)).notes

    async def mask(self, words: Words) -> None:
        return

    async def unmask(self) -> None:
        return


class SecureParty:
    def __init__(
        self, plan: Plan, channel: Channel, device: Device, machine: ClientMachine
    ) -> None:
        self._plan = plan
        self._channel = channel
        self._device = device
        self._machine = machine

    async def open(self, note: bytes) -> Mapping[int, bytes]:
        machine, run, round_ = self._machine, self._device.cpu.run, self._plan.round
        with self._device.tracer.span("keys", round_):
            await self._channel.send(await run(cost.advertise(), machine.advertise))
            roster = await self._channel.expect(Roster)
        with self._device.tracer.span("shares", round_):
            present = len(roster.keys)
            await run(cost.receive_roster(present - 1), machine.receive_roster, roster)
            work = cost.share(present, present - 1, machine.terms.threshold)
            await self._channel.send(await run(work, machine.share, note))
            delivery = await self._channel.expect(Delivery)
            work = cost.receive_delivery(len(delivery.sealed))
            notes = await run(work, machine.receive_delivery, delivery)
        return {**notes, machine.client: note}

    async def mask(self, words: Words) -> None:
        work = self._machine.mask_cost(words)
        await self._device.cpu.run(work, self._machine.mask, words, 0)

    async def unmask(self) -> None:
        survivors = await self._channel.expect(Survivors)
        with self._device.tracer.span("unmask", self._plan.round):
            await self._channel.send(self._machine.unmask(survivors))
