"""A client played by hand, message by message, so that it can misbehave at every one of them; and
a stage where it plays beside real workers whose sum is known to the bit."""

import asyncio
import io
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import numpy as np

from commands.coordination import Access, build_coordinator, served
from commands.study import Study
from coordinator.engine import Coordinator
from coordinator.errors import RunFailed
from protocol import codec
from protocol import messages as m
from protocol.checksum import UploadChecksum
from protocol.identity import Identity
from protocol.secagg.client import ClientMachine
from protocol.secagg.packing import pack
from protocol.secagg.terms import Terms
from tests.rounds.conftest import (
    TOKEN,
    Clock,
    Leaver,
    LeavingTracer,
    Played,
    Scene,
    Trainer,
    _work,
    instantly,
    small_study,
    update_of,
)
from worker.worker import Place

M = TypeVar("M", bound=m.Message)
LIMIT_S = 30.0
"""Of any wait of a test: reached only by a defect."""


async def until(condition: Callable[[], bool]) -> None:
    """Until the coordinator, in the same process, has come so far."""
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110  what is waited for has no event
            await asyncio.sleep(0.005)


class RawClient:
    """Sends what it is told to; nothing by itself."""

    def __init__(self, http: aiohttp.ClientSession, url: str, seed: int = 1) -> None:
        self.http = http
        self.url = url
        self.identity = Identity(bytes([seed]) * 32)
        self.socket: aiohttp.ClientWebSocketResponse
        self.challenge: m.Challenge
        self.welcome: m.Welcome
        self.machine: ClientMachine
        self.round = 0

    async def connect(self) -> "RawClient":
        self.socket = await self.http.ws_connect(self.url + "/v1/control", max_msg_size=0)
        return self

    async def send(self, message: m.Message) -> None:
        await self.socket.send_bytes(codec.encode(message))

    async def receive(self, kind: type[M]) -> M:
        """The next message of this kind; others are passed over."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                frame = await self.socket.receive()
                assert frame.type is aiohttp.WSMsgType.BINARY, f"no {kind.__name__}: {frame}"
                message = codec.decode(frame.data)
                if isinstance(message, kind):
                    return message
                assert not isinstance(message, m.Refused), message.reason

    async def closed(self) -> None:
        """Until the coordinator has closed the channel."""
        async with asyncio.timeout(LIMIT_S):
            while (await self.socket.receive()).type is aiohttp.WSMsgType.BINARY:
                pass

    async def leave(self) -> None:
        """Go when the coordinator says that the run is over, if not before."""
        async with asyncio.timeout(LIMIT_S):
            async for frame in self.socket:
                if isinstance(codec.decode(frame.data), m.Finish):
                    await self.socket.close()

    def hello(self, member: int | None = None, token: str = TOKEN) -> m.Hello:
        return m.Hello(m.VERSION, token, "by hand", self.identity.public, member)

    async def join(self, member: int | None = None) -> "RawClient":
        await self.connect()
        await self.send(self.hello(member))
        self.challenge = await self.receive(m.Challenge)
        await self.send(self.identity.prove(self.challenge))
        self.welcome = await self.receive(m.Welcome)
        return self

    async def ready(self) -> None:
        await self.send(m.Ready(1))

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.welcome.credential}"}

    async def advertise(self) -> None:
        """Answer the next plan with keys."""
        await self.advertise_to(await self.receive(m.Plan))

    async def advertise_to(self, plan: m.Plan) -> None:
        self.round = plan.round
        terms = Terms.of_plan(self.challenge.session, plan)
        self.machine = ClientMachine(self.welcome.client, terms, os.urandom)
        await self.send(self.machine.advertise())

    async def share(self) -> None:
        """Shares, once keys are advertised."""
        self.machine.receive_roster(await self.receive(m.Roster))
        await self.send(self.machine.share(b""))

    async def open(self, plan: m.Plan | None = None) -> None:
        """To where a vector is due; answers the next plan, or one that has been received."""
        await self.advertise_to(plan or await self.receive(m.Plan))
        await self.share()
        self.machine.receive_delivery(await self.receive(m.Delivery))

    async def unmask(self) -> None:
        await self.send(self.machine.unmask(await self.receive(m.Survivors)))

    def body(self, study: Study) -> bytes:
        """A right upload: the double's update, masked, with its checksum."""
        client, size = self.welcome.client, study.task.structure.size
        words = np.zeros(study.words, study.fixed_point.word)
        weight = study.task.examples(client)
        update = update_of(client, self.round, size)
        clipped = study.fixed_point.quantise(update, weight, words[:size])
        share = round(clipped / size * study.fixed_point.share_parts)
        counts = study.layout.weights({}, weight)
        study.fixed_point.encode_integers(np.append(counts, share), words[size:])
        self.machine.mask(words, 0)
        packed = bytes(pack(words, study.fixed_point.ring_bits))
        checksum = UploadChecksum(self.welcome.credential, (self.round, 1))
        checksum.update(packed)
        return packed + checksum.digest()

    async def put(
        self,
        body: bytes | AsyncIterator[bytes],
        place: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, str]:
        """Upload `body`; the status and text of the answer."""
        url = f"{self.url}/v1/vector/{place or f'{self.round}/1'}"
        async with (
            asyncio.timeout(LIMIT_S),
            self.http.put(
                url,
                data=io.BytesIO(body) if isinstance(body, bytes) else body,
                headers=self.headers | (headers or {}),
            ) as response,
        ):
            return response.status, await response.text()

    async def request(
        self, method: str, path: str, length: int = 0, authorization: bytes | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The head of a request on a connection of its own, byte by byte as told."""
        host, port = self.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        if authorization is None:
            authorization = self.headers["Authorization"].encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n"
        writer.write(head.encode() + b"Authorization: " + authorization + b"\r\n\r\n")
        await writer.drain()
        return reader, writer

    async def play(self, study: Study) -> None:
        """One round as it should be, up to the round's end."""
        await self.open()
        assert await self.put(self.body(study)) == (200, "")
        await self.unmask()
        await self.receive(m.RoundEnd)


@dataclass
class Stage(Played):
    """A served coordinator, real workers in all places but those kept free, and a connection."""

    url: str = ""
    http: aiohttp.ClientSession = field(kw_only=True)

    def raw(self, seed: int = 1) -> RawClient:
        return RawClient(self.http, self.url, seed)

    async def run(self) -> None:
        """The coordinator's run, to its end or failure."""
        async with asyncio.timeout(LIMIT_S):
            try:
                await self.coordinator.run()
            except RunFailed as failure:
                self.failure = str(failure)


@asynccontextmanager
async def staged(
    folder: Path,
    clients: int = 4,
    free: Iterable[int] = (3,),
    trainers: dict[int, type[Trainer]] | None = None,
    **settings: Any,  # noqa: ANN401
) -> AsyncIterator[Stage]:
    """Workers are joining already; the run begins with `Stage.run`."""
    study = small_study(folder, clients, **{"threshold": 3, **settings})
    scene = Scene(clients)
    coordinator: Coordinator = build_coordinator(
        study, scene, scene.clock, instantly, Access(TOKEN)
    )
    start = coordinator.model.vector.copy()
    async with (
        served(coordinator, ("127.0.0.1", 0)) as url,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as http,
    ):
        workers = []
        for client in set(range(clients)) - set(free):
            clock, leaver = Clock(), Leaver((), client)
            kind = (trainers or {}).get(client, Trainer)
            tracer = LeavingTracer(scene, clock, client)
            place = Place(url, TOKEN, "galaxy-note10", client)
            working = _work(place, leaver, kind(scene, clock, 1.0, False), tracer)
            workers.append(asyncio.create_task(working))
        try:
            yield Stage(study, coordinator, scene, start, url=url, http=http)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
