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
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
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


def _prepare_child(gives_way: bool) -> None:
    threading.Thread(target=_die_with_parent, daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    if gives_way and hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _new_process(gives_way: bool) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")  # never fork a process that has threads
    return ProcessPoolExecutor(
        1, mp_context=context, initializer=_prepare_child, initargs=(gives_way,)
    )


class TrainingPool:
    """An `Executor` over child processes, earliest deadline first.

    `gives_way`: to whatever else the host does, since links must not be late; under a virtual
    clock nothing can be.
    """

    def __init__(self, processes: int, gives_way: bool = True) -> None:
        self._gives_way = gives_way
        self._processes = [_new_process(gives_way) for _ in range(processes)]
        self._idle = list(range(processes))
        self._queue: list[tuple[float, int, Future[Any], Callable[[int], Future[Any]]]] = []
        self._sequence = itertools.count()
        self._rehearsals: dict[Hashable, asyncio.Future[list[Any]]] = {}
        self._lock = threading.Lock()
        self._clerk = ThreadPoolExecutor(1, "clerk")
        """Takes what jobs give and starts the next, whether or not the loop runs."""

    async def __call__(self, deadline_s: float, function: Callable[..., T], *args: object) -> T:
        return await asyncio.wrap_future(self.submit(deadline_s, function, *args))

    def submit(self, deadline_s: float, function: Callable[..., T], *args: object) -> "Future[T]":
        """The same for callers that wait in their own way: whether the loop runs or not, the next
        job starts as soon as a process is free."""
        done: Future[T] = Future()

        def start(slot: int) -> "Future[T]":
            return self._submit(slot, function, *args)

        with self._lock:
            heapq.heappush(self._queue, (deadline_s, next(self._sequence), done, start))
        self._dispatch()
        return done

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
        with self._lock:
            waiting, self._queue = self._queue, []
        for _, _, done, _ in waiting:
            done.cancel()
        for process in self._processes:
            process.shutdown(wait=True, cancel_futures=True)
        self._clerk.shutdown(wait=True)

    def _submit(self, slot: int, function: Callable[..., T], *args: object) -> "Future[T]":
        try:
            return self._processes[slot].submit(function, *args)
        except BrokenProcessPool:
            self._processes[slot] = _new_process(self._gives_way)
            return self._processes[slot].submit(function, *args)

    def _dispatch(self) -> None:
        """Called on the loop's thread and, as jobs end, on the clerk's."""
        while True:
            with self._lock:
                if not self._idle or not self._queue:
                    return
                _, _, done, start = heapq.heappop(self._queue)
                if not done.set_running_or_notify_cancel():
                    continue
                slot = self._idle.pop()
            start(slot).add_done_callback(partial(self._ended, slot, done))

    def _ended(self, slot: int, done: "Future[T]", job: "Future[T]") -> None:
        """Called on a thread of the process's executor, which may not be asked for more there."""
        with suppress(RuntimeError):  # the pool has been closed meanwhile
            self._clerk.submit(self._hand_over, slot, done, job)

    def _hand_over(self, slot: int, done: "Future[T]", job: "Future[T]") -> None:
        with self._lock:
            self._idle.append(slot)
        self._dispatch()
        error = None if job.cancelled() else job.exception()
        if job.cancelled() or isinstance(error, BrokenProcessPool):
            done.set_exception(PoolError("a training process died (out of memory?)"))
        elif error is not None:
            done.set_exception(error)
        else:
            done.set_result(job.result())
