"""What keeps the cores busy beside `benchmarks.links`: a fleet that trains, as in a run."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from commands.hosting import hosted
from learning.task import TaskSettings
from learning.tasks import initial_vector, load_task
from learning.training import TrainingJob, train
from worker.machine import Executor

TASK = "digits"


@dataclass(slots=True)
class Progress:
    """How many trainings of a client have ended."""

    ended: int = 0


@asynccontextmanager
async def training(clients: int) -> AsyncIterator[Progress]:
    """So many clients train their own examples of the default task, one round after the other
    without a pause, in the processes that a run trains in: one for each core, at the priority that
    the product gives them. Updates come back to this process, as they do in a run."""
    settings = TaskSettings(TASK, clients=clients)
    defaults, vector = load_task(settings).defaults, initial_vector(settings)
    jobs = [
        TrainingJob(
            settings,
            client,
            1,
            vector,
            {},
            defaults.epochs,
            defaults.batch_size,
            defaults.learning_rate,
            defaults.optimiser,
        )
        for client in range(clients)
    ]
    progress = Progress()
    async with hosted(1.0, None) as host:
        async with host.undisturbed(jobs[:1]):
            pass  # what a run has loaded before it begins
        tasks = [asyncio.create_task(_for_ever(host.trainer, job, progress)) for job in jobs]
        try:
            yield progress
        finally:
            for task in tasks:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks)


async def _for_ever(trainer: Executor, job: TrainingJob, progress: Progress) -> None:
    """The nearest deadline goes first: all are alike here."""
    while True:
        await trainer(asyncio.get_running_loop().time(), train, job)
        progress.ended += 1
