"""Training processes: off the event loop, out of the links' way, most urgent job first.

A training thread in the same process makes links 5 ms late; a process at SCHED_IDLE does not
(measured: docs/links.md). The processes are shared by all workers of a host, so the job whose
emulated deadline is nearest runs first.
"""

import asyncio
import heapq
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

T = TypeVar("T")


class PoolError(Exception):
    """A training process died; the job it had is lost."""


def _die_with_parent() -> None:
    """A parent that is killed cannot say goodbye: its queue would be waited on for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _prepare_child() -> None:
    threading.Thread(target=_die_with_parent, daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _new_process() -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")  # never fork a process that has threads
    return ProcessPoolExecutor(1, mp_context=context, initializer=_prepare_child)


class TrainingPool:
    """An `Executor` over child processes, earliest deadline first."""

    def __init__(self, processes: int) -> None:
        self._processes = [_new_process() for _ in range(processes)]
        self._idle = list(range(processes))
        self._queue: list[tuple[float, int, asyncio.Future[Any], Callable[[int], None]]] = []
        self._sequence = itertools.count()
        self._rehearsals: dict[Hashable, asyncio.Future[list[Any]]] = {}

    async def __call__(self, deadline_s: float, function: Callable[..., T], *args: object) -> T:
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def start(slot: int) -> None:
            job = self._submit(slot, function, *args)
            job.add_done_callback(lambda job: self._hand_over(slot, job, done))

        heapq.heappush(self._queue, (deadline_s, next(self._sequence), done, start))
        self._dispatch()
        return await done

    async def rehearse(self, what: Hashable, function: Callable[..., Any], *args: object) -> None:
        """Run once in each process, the first time this is called for `what`: loads what later
        jobs need before any deadline counts. Whoever else calls waits for that."""
        if what not in self._rehearsals:
            slots = range(len(self._processes))
            jobs = [asyncio.wrap_future(self._submit(slot, function, *args)) for slot in slots]
            self._rehearsals[what] = asyncio.gather(*jobs)
        try:
            await asyncio.shield(self._rehearsals[what])
        except BrokenProcessPool as error:
            self._rehearsals.pop(what, None)  # its successor is still to be prepared
            raise PoolError("a training process died while it was being prepared") from error

    def close(self) -> None:
        for process in self._processes:
            process.shutdown(wait=True, cancel_futures=True)

    def _submit(self, slot: int, function: Callable[..., T], *args: object) -> "Future[T]":
        try:
            return self._processes[slot].submit(function, *args)
        except BrokenProcessPool:
            self._processes[slot] = _new_process()
            return self._processes[slot].submit(function, *args)

    def _dispatch(self) -> None:
        while self._idle and self._queue:
            _, _, done, start = heapq.heappop(self._queue)
            if not done.cancelled():
                start(self._idle.pop())

    def _release(self, slot: int) -> None:
        self._idle.append(slot)
        self._dispatch()

    def _hand_over(self, slot: int, job: "Future[T]", done: "asyncio.Future[T]") -> None:
        """Called in the executor's own thread: give slot and result back to the loop."""

        def settle() -> None:
            self._release(slot)
            if done.cancelled():
                return
            error = None if job.cancelled() else job.exception()
            if job.cancelled() or isinstance(error, BrokenProcessPool):
                done.set_exception(PoolError("a training process died (out of memory?)"))
            elif error is not None:
                done.set_exception(error)
            else:
                done.set_result(job.result())

        loop = done.get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle)
