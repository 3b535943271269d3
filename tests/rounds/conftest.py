"""Whole runs over real sockets with everything real but the training, which a double replaces by
an update that follows from (client, round), so that the sum to expect is known to the bit."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import aiohttp
import numpy as np
import pytest

from commands.coordination import Access, build_coordinator, served
from commands.identities import pins_of
from commands.settings import RunSettings
from commands.study import Study, prepare
from coordinator.engine import Coordinator
from coordinator.errors import RunFailed
from learning.structure import Keep, Vector
from learning.submodel import SubModel
from learning.tasks import load_task
from learning.training import TrainingJob, TrainingResult
from protocol.errors import ProtocolError
from protocol.telemetry import Event, ListRecorder, Span, Tracer
from protocol.work import Operation, Tally
from worker.channel import ChannelLost, JoinRefused
from worker.client import Device
from worker.machine import RealMachine, in_thread
from worker.worker import Place, Worker

T = TypeVar("T")
TOKEN = "a token for tests"


class Vanish(BaseException):
    """The worker's process is gone from one instant to the next."""


@dataclass(frozen=True)
class Leaving:
    """When a client vanishes: at its `step` of `round`."""

    client: int
    round: int
    step: str


def update_of(client: int, round_: int, size: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The double's training: any finite update would do."""
    values = np.random.default_rng([client, round_]).random(size, dtype=np.float32)
    return (values - np.float32(0.5)) / np.float32(10)


class Clock:
    """A party's clock: the loop's, moved on by what its doubles say that they took."""

    def __init__(self) -> None:
        self._time = asyncio.get_running_loop().time
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return self._time() + self.ahead_s


SECONDS_PER_MAC = 1e-8
"""Of a client that is not slow: a fit takes it about a minute, beside which a test's own
milliseconds are nothing."""


class Trainer:
    """A `Machine` whose training is `update_of` and takes its client's clock the time of the work.
    A late one waits for all others' uploads and moves the coordinator's clock on before its own."""

    def __init__(self, scene: "Scene", clock: Clock, slowness: float, late: bool) -> None:
        self._scene = scene
        self._clock = clock
        self._slowness = slowness
        self._late = late

    async def run(self, work: Tally, function: Callable[..., T], *args: object) -> T:
        job = args[0]
        assert isinstance(job, TrainingJob)
        update = update_of(job.client, job.round, job.vector.size)
        update = update * SubModel(load_task(job.task).structure, job.keep).mask
        if job.kept is not None:
            update = update * job.kept
        self._clock.ahead_s += work[Operation.TRAINING_MAC] * SECONDS_PER_MAC * self._slowness
        self._scene.trained[job.round, job.client] = (job.vector, job.keep)
        if self._late and job.max_batches is None:
            await self._scene.others_arrived(job.round)
            self._scene.clock.ahead_s += 100
        examples = load_task(job.task).examples(job.client)
        return TrainingResult(update, 1.0, examples, 16)  # type: ignore[return-value]


class Scene(ListRecorder):
    """What the doubles of one run share; hears everything that is recorded."""

    def __init__(self, clients: int) -> None:
        super().__init__()
        self.clock = Clock()
        self.trained: dict[tuple[int, int], tuple[Vector, Keep]] = {}
        """By (round, client): the model it began with, and what it kept of it."""
        self._arrived = {round_: asyncio.Semaphore(0) for round_ in range(1, 10)}
        self._others = clients - 1

    def record(self, item: Span | Event) -> None:
        super().record(item)
        if isinstance(item, Event) and item.kind == "upload_received":
            self._arrived[item.round].release()

    async def others_arrived(self, round_: int) -> None:
        for _ in range(self._others):
            await self._arrived[round_].acquire()


class Leaver:
    """Makes a worker vanish when it comes to a step: sees each by its tracer and machine."""

    def __init__(self, leaving: Iterable[Leaving], client: int) -> None:
        self._at = {(each.round, each.step) for each in leaving if each.client == client}
        self.round = 0

    def step(self, name: str, round_: int | None = None) -> None:
        self.round = self.round if round_ is None else round_
        if (self.round, name) in self._at:
            raise Vanish


class LeavingMachine(RealMachine):
    def __init__(self, leaver: Leaver) -> None:
        super().__init__(in_thread)
        self._leaver = leaver

    async def run(self, work: Tally, function: Callable[..., T], *args: object) -> T:
        self._leaver.step(getattr(function, "__name__", ""))
        return await super().run(work, function, *args)


class LeavingTracer(Tracer):
    """Vanishes as a span begins (step `begin PHASE`)."""

    leaver: Leaver

    def span(self, phase: str, round_: int) -> Any:  # noqa: ANN401
        self.leaver.step(f"begin {phase}", round_)
        return super().span(phase, round_)


@dataclass
class Played:
    """What a run left behind."""

    study: Study
    coordinator: Coordinator
    scene: Scene
    start: np.ndarray[Any, np.dtype[np.float32]]
    failure: str | None = None
    endings: list[object] = field(default_factory=list)

    def events(self, kind: str) -> list[Event]:
        items = self.scene.items
        return [item for item in items if isinstance(item, Event) and item.kind == kind]

    def spans(self, phase: str) -> list[Span]:
        items = self.scene.items
        return [item for item in items if isinstance(item, Span) and item.phase == phase]

    @property
    def vector(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        return self.coordinator.model.vector


async def instantly(deadline_s: float, function: Callable[..., T], *args: object) -> T:
    return function(*args)


@asynccontextmanager
async def undisturbed(jobs: Sequence[TrainingJob]) -> AsyncIterator[None]:
    yield


Play = Callable[..., Awaitable[Played]]


@pytest.fixture
def play(tmp_path_factory: pytest.TempPathFactory) -> Play:
    """Play a run of a few clients; see `_play` for the arguments."""
    folder = tmp_path_factory.mktemp("fleet")
    return lambda **options: _play(folder, **options)


async def _play(
    folder: Any,  # noqa: ANN401
    clients: int = 5,
    leaving: Iterable[Leaving] = (),
    absent: Iterable[int] = (),
    slow: Iterable[int] = (),
    late: Iterable[int] = (),
    alter: Callable[[Coordinator], None] = lambda coordinator: None,
    **settings: Any,  # noqa: ANN401
) -> Played:
    study = small_study(folder, clients, **settings)
    scene = Scene(clients)
    identities = study.identities
    access = Access(TOKEN, identities.public if identities else None)
    coordinator = build_coordinator(study, scene, scene.clock, instantly, access)
    alter(coordinator)
    played = Played(study, coordinator, scene, coordinator.model.vector.copy())
    async with served(coordinator, ("127.0.0.1", 0)) as url:
        workers = []
        for client in set(range(clients)) - set(absent):
            clock, slowness = Clock(), 3.0 if client in set(slow) else 1.0
            working = _work(
                Place(url, TOKEN, "galaxy-note10", client, pins=pins_of(identities, 0.1)(client)),
                Leaver(leaving, client),
                Trainer(scene, clock, slowness, client in set(late)),
                LeavingTracer(scene, clock, client),
            )
            workers.append(asyncio.create_task(working))
        try:
            await coordinator.run()
        except RunFailed as failure:
            played.failure = str(failure)
            await coordinator.finish("failed")
        for worker in workers:
            if played.failure:
                worker.cancel()
        played.endings = await asyncio.gather(*workers, return_exceptions=True)
    return played


def small_study(folder: Any, clients: int, **settings: Any) -> Study:  # noqa: ANN401
    fleet = folder / f"fleet{clients}.toml"
    fleet.write_text(
        'title = "for tests"\n[[members]]\n'
        f'count = {clients}\ndevice = "galaxy-note10"\nnetwork = "lan-1g"\n'
    )
    chosen: dict[str, Any] = {
        "profile": str(fleet),
        "strategy": "none",
        "rounds": 1,
        "join_s": 20.0,
    } | settings
    return prepare(replace(RunSettings(), **chosen))


async def _work(place: Place, leaver: Leaver, trainer: Trainer, tracer: LeavingTracer) -> object:
    tracer.leaver = leaver
    device = Device(trainer, LeavingMachine(leaver), tracer, undisturbed)
    async with aiohttp.ClientSession() as session:
        with suppress(ChannelLost, ProtocolError, JoinRefused, Vanish):
            return await Worker(place, session, device, lambda credential: None).run()
    return "vanished"


def plain_mean(played: Played, survivors: Iterable[int], round_: int = 1) -> Any:  # noqa: ANN401
    """The model that the survivors' updates give without any masks, in the same arithmetic."""
    study, size = played.study, played.start.size
    total = np.zeros(study.words, study.fixed_point.word)
    for client in survivors:
        words = np.zeros(study.words, study.fixed_point.word)
        weight = study.task.examples(client)
        update = update_of(client, round_, size)
        clipped = study.fixed_point.quantise(update, weight, words[:size])
        counts = study.layout.weights({}, weight)
        share = round(clipped / size * study.fixed_point.share_parts)
        study.fixed_point.encode_integers(np.append(counts, share), words[size:])
        total += words
    summed = study.fixed_point.dequantise(total[:size])
    counts = study.fixed_point.to_integers(total[size:])[:-1]
    return played.start + study.layout.mean(summed, counts)
