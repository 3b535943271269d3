"""An event loop whose clock jumps to the next timer as soon as nothing can run.

Timers of one instant ring in the order in which they were set. Work handed to an executor holds
the clock: by default it is done at once, within the call, so that it takes no virtual time and its
result comes at the same place in every run. What would wait for the real world raises.
"""

import asyncio
import heapq
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextvars import Context
from typing import Any, TypeVar

from netem.virtual.errors import Deadlock, VirtualClockError
from netem.virtual.network import MemoryLoop

T = TypeVar("T")

_POLL_EVERY = 256
"""Iterations between looks at signals and watchers: about a millisecond of host time."""
_FEW_TIMERS = 100
_STANDSTILL = 5_000_000
"""Callbacks in a row at one instant that no fleet needs: somebody is spinning."""
_SHOWN_TASKS = 12


class VirtualLoop(MemoryLoop):
    """Time begins at 0 and moves only from timer to timer."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timers_set = 0
        self._timers_cancelled = 0
        self._iterations = 0
        self._since_jump = 0
        self._watchers: list[tuple[float, Callable[[], None]]] = []
        self._watched_at_s: dict[int, float] = {}

    def time(self) -> float:
        return self._now_s

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,  # noqa: ANN401
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Raises ValueError for an instant that is no number: it would never come."""
        if when != when:  # NaN
            raise ValueError("a timer cannot be set for an instant that is not a number")
        if self.is_closed():
            raise RuntimeError("Event loop is closed")
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        handle._scheduled = True  # type: ignore[attr-defined]
        self._timers_set += 1
        heapq.heappush(self._timers, (when, self._timers_set, handle))
        return handle

    def call_soon(  # type: ignore[override]
        self,
        callback: Callable[..., object],
        *args: Any,  # noqa: ANN401
        context: Context | None = None,
    ) -> asyncio.Handle:
        """As asyncio's own, without what costs it most: a large run makes millions."""
        if self._closed or self._debug:  # type: ignore[attr-defined]
            return super().call_soon(callback, *args, context=context)
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)  # type: ignore[attr-defined]
        return handle

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,  # noqa: ANN401
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def watch(self, every_s: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back about every so many *real* seconds while the loop runs, between events: for a
        display, which must not change what it shows. Returns what ends it."""
        watcher = (every_s, callback)
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    # Work outside the loop.

    def run_in_executor(  # type: ignore[override]
        self,
        executor: Executor | None,
        function: Callable[..., T],
        *args: Any,  # noqa: ANN401
    ) -> asyncio.Future[T]:
        """With no executor named, the function runs here and now; with one, the clock stands
        until it reports."""
        done: asyncio.Future[T] = self.create_future()
        if executor is None:
            try:
                done.set_result(function(*args))
            except Exception as error:
                done.set_exception(error)
        else:
            job = executor.submit(function, *args)
            handle = self.hold_until(self._now_s, job, done)

            def settled(future: asyncio.Future[T]) -> None:
                if future.cancelled():
                    handle.cancel()
                    job.cancel()

            done.add_done_callback(settled)
        return done

    def hold_until(
        self, when_s: float, job: "Future[T]", done: "asyncio.Future[T]"
    ) -> asyncio.TimerHandle:
        """Hand over what `job` gives at the instant `when_s`, at its place among the timers of
        that instant; the clock waits there as long as need be. Who no longer waits for `done`
        cancels what this returns, and the job."""

        def settle() -> None:
            if done.done():
                job.cancel()
                return
            error = job.exception()  # waits, in real time
            if error is None:
                done.set_result(job.result())
            else:
                done.set_exception(error)

        return self.call_at(max(when_s, self._now_s), settle)

    # One iteration.

    def _run_once(self) -> None:
        ready = self._ready  # type: ignore[attr-defined]
        self._iterations += 1
        if self._iterations % _POLL_EVERY == 0:
            self._look_outside()
        if not ready and not self._stopping:  # type: ignore[attr-defined]
            self._jump()
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _jump(self) -> None:
        """Move to the next instant for which a timer is set, and make its timers ready."""
        timers, ready = self._timers, self._ready  # type: ignore[attr-defined]
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)[2]._scheduled = False  # type: ignore[attr-defined]
            self._timers_cancelled -= 1
        if not timers:
            self._look_outside()
            if ready:
                return
            raise Deadlock(self._story())
        when_s = timers[0][0]
        if when_s > self._now_s:
            if when_s == float("inf"):
                raise Deadlock(self._story())
            self._now_s, self._since_jump = when_s, self._iterations
        elif self._iterations - self._since_jump > _STANDSTILL:
            raise VirtualClockError(f"time stands still at {self._now_s:.6f} s: {self._story()}")
        while timers and timers[0][0] == when_s:
            handle = heapq.heappop(timers)[2]
            handle._scheduled = False  # type: ignore[attr-defined]
            if handle._cancelled:
                self._timers_cancelled -= 1
            else:
                ready.append(handle)

    def _look_outside(self) -> None:
        """Signals come through the loop's own pipe; watchers are due by the real clock."""
        self._process_events(self._selector.select(0))  # type: ignore[attr-defined]
        now_s = time.monotonic()
        for number, (every_s, callback) in enumerate(list(self._watchers)):
            if now_s - self._watched_at_s.get(number, 0.0) >= every_s:
                self._watched_at_s[number] = now_s
                callback()
        if self._iterations - self._since_jump > _STANDSTILL:
            raise VirtualClockError(f"time stands still at {self._now_s:.6f} s: {self._story()}")

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers stay in the heap until they are most of it."""
        if not handle._scheduled:  # type: ignore[attr-defined]
            return
        self._timers_cancelled += 1
        if self._timers_cancelled > _FEW_TIMERS and 2 * self._timers_cancelled > len(self._timers):
            self._timers = [entry for entry in self._timers if not entry[2]._cancelled]
            heapq.heapify(self._timers)
            self._timers_cancelled = 0

    def _story(self) -> str:
        """Who waits where."""
        tasks = sorted(asyncio.all_tasks(self), key=lambda task: task.get_name())
        lines = [f"{task.get_name()}: {_waiting(task)}" for task in tasks[:_SHOWN_TASKS]]
        more = f"; and {len(tasks) - _SHOWN_TASKS} more" if len(tasks) > _SHOWN_TASKS else ""
        waiting = "; ".join(lines) or "nobody waits"
        return f"no timer is left at {self._now_s:.6f} s of virtual time; {waiting}{more}"


def _waiting(task: "asyncio.Task[Any]") -> str:
    """The innermost coroutine that a task waits in, with its line."""
    at: Any = task.get_coro()
    name = getattr(at, "__qualname__", repr(at))
    while asyncio.iscoroutine(inner := getattr(at, "cr_await", None)):
        at = inner
    frame = getattr(at, "cr_frame", None)
    if frame is None:
        return f"{name} has ended"
    return f"{name} waits in {frame.f_code.co_name} ({frame.f_code.co_filename}:{frame.f_lineno})"
