"""A joined client: everything about it that stays the same from round to round."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from learning.kernels import DENSE_KERNELS, Kernels, KernelsError
from learning.layout import VectorLayout, layout_of
from learning.selection import Selection
from learning.structure import Keep, Structure, Vector, kept_sizes
from learning.submodel import SubModel
from learning.task import Task, TaskSettings
from learning.tasks import initial_vector, load_task
from learning.training import TrainingJob, planned, train, work
from learning.upload import UploadLayout, Votes
from protocol.errors import ProtocolError
from protocol.messages import Plan
from protocol.secagg.ring import FixedPoint
from protocol.settings import ClientSettings
from protocol.telemetry import Tracer
from protocol.work import Tally
from strategies import lookup
from strategies.instruction import decode_keep
from strategies.interface import ClientHalf
from strategies.pruning import Pruning
from strategies.rates import FitCurve
from strategies.settings import SettingsError, StrategySettings
from strategies.state import State, StateError
from worker.machine import Machine
from worker.memory import Forgetful, Memory
from worker.patterns import HeldPattern

PROBED_RATIOS = (1.0, 0.75, 0.5)
"""Keep ratios at which one batch is timed: two would do for a line, three average noise."""
REPEATS = 2


@dataclass(frozen=True, slots=True)
class Device:
    """What this client computes on and how it measures itself; emulated or real, it cannot tell."""

    trainer: Machine
    cpu: Machine
    tracer: Tracer
    undisturbed: Callable[[Sequence[TrainingJob]], AbstractAsyncContextManager[None]]
    """While jobs are timed for calibration: the host is ready for them (data loaded, kernels
    built), and not so many others time theirs that it could not keep up."""


@dataclass(frozen=True, slots=True)
class Client:
    id: int
    session: bytes = field(repr=False)
    settings: ClientSettings
    task: Task
    layout: VectorLayout
    fixed_point: FixedPoint
    strategy: ClientHalf
    device: Device
    pruning: Pruning | None = None
    """What prunes weights for everybody."""
    memory: Memory = field(default_factory=Forgetful)
    held: HeldPattern = field(default_factory=HeldPattern)
    kernels: Kernels = DENSE_KERNELS

    def upload(self, values: int) -> UploadLayout:
        """Of a round in which so many coordinates travel."""
        votes: Votes = "none" if self.pruning is None else self.pruning.votes
        return UploadLayout.of(values, self.layout.length, votes, self.fixed_point)

    def measures_gradient(self, round_: int) -> bool:
        """Whether it does, instead of training."""
        return self.pruning is not None and self.pruning.gradient_round == round_

    def check_pattern(self, plan: Plan) -> None:
        """Raises ProtocolError for a pattern that this run cannot have: before anything of the size
        that it names is made."""
        if not plan.pattern:
            if plan.surviving or plan.pattern_digest:
                raise ProtocolError("the plan speaks of a pattern and names none")
            return
        if self.pruning is None:
            raise ProtocolError(f"{self.settings.strategy} takes no pattern")
        if not 1 <= plan.surviving <= self.task.structure.size:
            raise ProtocolError("the plan names no coordinates, or more than the model has")

    def portion(self, instruction: bytes) -> Selection | None:
        """What travels, both ways, where the coordinator says what to train; None: everything.
        Raises ProtocolError if nobody is to say so in this run."""
        if not instruction:
            return None
        if not lookup(self.settings.strategy).needs_plain:
            raise ProtocolError(f"{self.settings.strategy} takes no instruction")
        keep = decode_keep(self.task.structure, instruction)[1]
        return Selection(SubModel(self.task.structure, keep).mask)

    def check_training(self, plan: Plan, model: Vector) -> None:
        """Raises ProtocolError unless settings and model are those that all others train with, as
        far as the plan says so: whoever trains alone on something else shows in the sum."""
        if not plan.training:
            return
        data = memoryview(model.astype("<f4", copy=False).data).cast("B")
        if self.settings.training_digest(data, plan.pattern_digest) != plan.training:
            raise ProtocolError("the model or the settings are not those that the plan names")

    @property
    def examples(self) -> int:
        return self.task.examples(self.id)

    def job(self, round_: int, vector: Vector, keep: Keep) -> TrainingJob:
        return _job(self.task.settings, self.settings, (self.id, round_), vector, keep)


async def prepare_client(
    identity: tuple[int, bytes],
    settings: ClientSettings,
    data_dir: str | None,
    device: Device,
    memory: Memory,
) -> Client:
    """Load the data of client `identity` = (id, session), calibrate the device on it, and go on
    from what it remembers."""
    task = await asyncio.to_thread(load_task, TaskSettings.of_client(settings, data_dir))
    strategy_settings = _strategy_settings(settings)
    strategy = lookup(settings.strategy)
    with device.tracer.span("calibrate", 0):
        curve = await _calibrate(identity[0], settings, task, device)
    curve = replace(curve, kernels=_kernels(settings))
    half = await asyncio.to_thread(
        strategy.client, strategy_settings, identity[0], task.structure, curve
    )
    _restore(half, memory.recall())
    return Client(
        id=identity[0],
        session=identity[1],
        settings=settings,
        task=task,
        layout=layout_of(task.structure, strategy.counts(strategy_settings)),
        fixed_point=FixedPoint(
            settings.clip, settings.ring_bits, settings.max_weight, settings.clients
        ),
        strategy=half,
        device=device,
        pruning=strategy.pruning and strategy.pruning(strategy_settings, task.structure),
        memory=memory,
        kernels=curve.kernels,
    )


def _kernels(settings: ClientSettings) -> Kernels:
    try:
        return Kernels.from_mapping(settings.sparse_compute)
    except KernelsError as error:
        raise ProtocolError(f"settings: sparse_compute: {error}") from error


def _restore(half: ClientHalf, remembered: State | None) -> None:
    """Raises StateError."""
    try:
        if remembered is not None:
            half.restore(remembered)
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(f"what was kept is not of this run ({error})") from error


def _strategy_settings(settings: ClientSettings) -> StrategySettings:
    values: dict[str, Any] = dict(settings.strategy_settings)
    try:
        return StrategySettings(**values)
    except (TypeError, SettingsError) as error:
        raise ProtocolError(f"strategy settings: {error}") from error


async def _calibrate(client: int, settings: ClientSettings, task: Task, device: Device) -> FitCurve:
    """Time one batch at several widths, as a real device would, and scale it to a whole fit.

    The shortest of a few times counts: whatever disturbs a measurement makes it longer.
    """
    vector = await asyncio.to_thread(initial_vector, task.settings)
    whole = _job(task.settings, settings, (client, 0), vector, {})
    jobs = [_probe(whole, task.structure, ratio) for ratio in PROBED_RATIOS]
    probes: list[tuple[float, float]] = []
    async with device.undisturbed(jobs):
        for job in jobs:
            todo, macs = await asyncio.to_thread(_counted, job)
            taken_s = [await _timed(job, todo, device) for _ in range(REPEATS)]
            probes.append((macs, min(taken_s)))
    examples = task.examples(client)
    samples, batches = planned(whole, examples)
    batch = min(settings.batch_size, examples)
    of_batch = FitCurve.fitted(probes)
    return FitCurve(of_batch.fixed_s * batches, of_batch.s_per_mac * samples / batch)


async def _timed(job: TrainingJob, todo: Tally, device: Device) -> float:
    start_s = device.tracer.now()
    await device.trainer.run(todo, train, job)
    return device.tracer.now() - start_s


def _probe(whole: TrainingJob, structure: Structure, ratio: float) -> TrainingJob:
    """One batch of a job, on a model of which the first neurons are kept."""
    sizes = kept_sizes(structure, ratio)
    keep = {group: np.arange(size) for group, size in sizes.items()} if ratio < 1 else {}
    return replace(whole, keep=keep, max_batches=1)


def _counted(job: TrainingJob) -> tuple[Tally, int]:
    """A job's work and its model's MACs."""
    structure = load_task(job.task).structure
    return work(job), structure.forward_macs(structure.widths(job.keep))


def _job(
    task: TaskSettings,
    settings: ClientSettings,
    place: tuple[int, int],
    vector: Vector,
    keep: Keep,
) -> TrainingJob:
    client, round_ = place
    return TrainingJob(
        task=task,
        client=client,
        round=round_,
        vector=vector,
        keep=keep,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        optimiser=settings.optimiser,
        momentum=settings.momentum,
        seed=settings.seed,
    )
