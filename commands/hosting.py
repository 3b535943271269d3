"""What emulated devices of one process share: timer, processes that train, a clock; and which loop
they live on. Under the wall clock everything here is about not being late; under the virtual one
nothing can be.
"""

import asyncio
import gc
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager

from commands.emulation import Host, Undisturbed, run_clock
from commands.modelled import uncomputed
from commands.settings import RunSettings
from learning.training import TrainingJob, train
from netem.timer import LoopTimer, timer_for
from netem.virtual.loop import VirtualLoop
from netem.virtual.work import HeldClock, Submit, here_and_now
from worker.machine import in_thread
from worker.pool import TrainingPool

SWITCH_INTERVAL_S = 0.0005
"""How long a thread may keep the interpreter from the event loop: the default of 5 ms would make
links as late (measured: docs/links.md)."""
RARE_COLLECTIONS = 200_000, 50, 20
"""Thresholds of the garbage collector under the virtual clock: a large fleet has so many objects
under way at a time that by default it takes a third of the run to look through them, and finds
nothing, since a round leaves next to no cycles behind."""


def loop_of(clock: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the loop that a run lives on; None: asyncio's own."""
    return VirtualLoop if clock == "virtual" else None


def host_of(settings: RunSettings) -> AbstractAsyncContextManager[Host]:
    """The host of a run's coordinator and of the workers beside it."""
    if settings.clock == "virtual":
        return hosted_virtually(settings)
    return hosted(settings.time_scale, settings.training_processes)


@asynccontextmanager
async def hosted(time_scale: float, training_processes: int | None) -> AsyncIterator[Host]:
    """In wall time."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    settle_memory()
    loop = asyncio.get_running_loop()
    # More threads than cores would only take the interpreter from one another.
    loop.set_default_executor(ThreadPoolExecutor(os.cpu_count(), "crypto", _yield_to_links))
    timer = timer_for(loop)
    processes = training_processes or os.cpu_count() or 1
    pool = TrainingPool(processes)
    undisturbed = _rehearsed(pool, asyncio.Semaphore(2 * processes))
    try:
        yield Host(timer, pool, in_thread, time_scale, run_clock(time_scale), undisturbed)
    finally:
        pool.close()
        timer.close()


@asynccontextmanager
async def hosted_virtually(settings: RunSettings) -> AsyncIterator[Host]:
    """On a virtual loop: results are handed over at the instants that they were charged to."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        raise TypeError("a virtual host needs a virtual loop")
    settle_memory()
    timer, scale = LoopTimer(loop), settings.time_scale
    cpu = HeldClock(loop, here_and_now)
    with ExitStack() as stack:
        stack.callback(timer.close)
        stack.callback(gc.set_threshold, *gc.get_threshold())
        gc.set_threshold(*RARE_COLLECTIONS)
        submit: Submit = uncomputed
        if settings.training == "computed":
            processes = settings.training_processes or os.cpu_count() or 1
            pool = TrainingPool(processes, gives_way=False)
            stack.callback(pool.close)
            submit = pool.submit
        yield Host(timer, HeldClock(loop, submit), cpu, scale, run_clock(scale), _at_once)


def settle_memory() -> None:
    """What torch and the rest leave in memory takes a full collection 0.2 s to walk: not again."""
    gc.collect()
    gc.freeze()


def _yield_to_links() -> None:
    """A thread that computes gives way to the event loop. Linux has a niceness for each thread;
    elsewhere it is the process's, and the loop would suffer with it."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, 0, 10)


def _rehearsed(pool: TrainingPool, calibrations: asyncio.Semaphore) -> Undisturbed:
    """`calibrations`: how many devices may time their training at once; together they must leave
    the host time."""

    @asynccontextmanager
    async def undisturbed(jobs: Sequence[TrainingJob]) -> AsyncIterator[None]:
        for job in jobs:
            await pool.rehearse(_shape(job), train, job)
        async with calibrations:
            yield

    return undisturbed


@asynccontextmanager
async def _at_once(jobs: Sequence[TrainingJob]) -> AsyncIterator[None]:
    """Nothing disturbs a device's time where it is charged, not spent."""
    yield


def _shape(job: TrainingJob) -> tuple[object, ...]:
    """What decides how a job's kernels look: one rehearsal for each is enough."""
    return job.task, *((group, len(kept)) for group, kept in sorted(job.keep.items()))
