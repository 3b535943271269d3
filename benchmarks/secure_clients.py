"""Some clients of `benchmarks.secure_round`, in a process of their own: the worker's own channel,
transfers and party; each answers with a fixed vector instead of training.

Reads from standard input one line of JSON: URL, token, setting and places.
"""

import asyncio
import gc
import json
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

import aiohttp
import numpy as np

from learning.training import TrainingJob
from protocol.identity import Identity
from protocol.messages import Failed, Message, Plan, Ready
from protocol.secagg.client import ClientMachine
from protocol.secagg.packing import pack
from protocol.secagg.ring import FixedPoint, Words
from protocol.secagg.terms import Terms
from protocol.telemetry import ListRecorder, Tracer
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
    lost: int = 0
    """So many clients vanish once the shares are delivered, in every round again."""
    precompute: bool = False
    """Masks are expanded while the model is downloaded."""

    @property
    def fixed_point(self) -> FixedPoint:
        return FixedPoint(self.clip, RING_BITS, max_weight=1, max_clients=self.clients)

    @property
    def aggregation(self) -> str:
        return "secagg+" if self.neighbours else "secagg"

    def value(self, client: int) -> float:
        """What this client's vector is filled with."""
        return (client + 1) / self.clients

    def order(self, url: str, token: str, places: Sequence[int]) -> bytes:
        """What `main` reads, of the process that plays the clients at these places."""
        order = {"url": url, "token": token, "setting": asdict(self), "places": list(places)}
        return json.dumps(order).encode() + b"\n"


class FixedWorker:
    """One client: opens, downloads, masks its fixed vector, uploads, unmasks."""

    def __init__(self, setting: Setting, client: int) -> None:
        machine = RealMachine(in_thread)
        clock = asyncio.get_running_loop().time
        tracer = Tracer(ListRecorder(), clock, client)
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
                await self._play(message, party, (channel, transfers))
                message = None
            except LeftBehind as behind:
                message = behind.message

    async def _play(self, plan: Plan, party: SecureParty, ways: tuple[Channel, Transfers]) -> None:
        channel, transfers = ways
        await party.open(b"")
        if self._client < self._setting.lost:
            await channel.send(Failed(plan.round, "lost on purpose"))
            return
        if self._setting.precompute:
            party.expand_ahead(self._setting.size + 2, RING_BITS)
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
        words: Words = np.empty(size + 2, fixed_point.word)
        fixed_point.quantise(self._update, 1, words[:size])
        fixed_point.encode_integers(np.array([1, 0]), words[size:])
        return words


@asynccontextmanager
async def _undisturbed(jobs: Sequence[TrainingJob]) -> AsyncIterator[None]:
    yield


async def play(setting: Setting, places: Sequence[int], url: str, token: str) -> None:
    """Until the coordinator says that the run is over."""
    crypto = ThreadPoolExecutor(os.cpu_count(), "crypto")  # as `run_testbed.py` has it
    asyncio.get_running_loop().set_default_executor(crypto)
    workers = [FixedWorker(setting, client) for client in places]
    gc.freeze()
    await asyncio.gather(*(worker.run(url, token) for worker in workers))


def main() -> None:
    """Prints the seconds of processor time that playing took."""
    order = json.loads(sys.stdin.readline())
    start_s = time.process_time()
    asyncio.run(play(Setting(**order["setting"]), order["places"], order["url"], order["token"]))
    print(time.process_time() - start_s)


if __name__ == "__main__":
    main()
