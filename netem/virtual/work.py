"""Charged work under a virtual clock: really computed, handed over when it was charged to end.

While a job is computed elsewhere, virtual time goes on to whatever comes before its deadline, and
there it stands until the result is in. Deadlines follow from the work charged, so that neither the
host's speed nor its number of cores shows in what happens when. Jobs of one instant are handed
over in the order in which they were given out.
"""

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from netem.virtual.loop import VirtualLoop

T = TypeVar("T")


class Submit(Protocol):
    """Starts a function somewhere, the most urgent first, and goes on whether or not the loop
    runs."""

    def __call__(
        self,
        deadline_s: float,
        function: Callable[..., T],
        /,
        *args: Any,  # noqa: ANN401
    ) -> "Future[T]": ...


class HeldClock:
    """A `netem.machine.Executor`."""

    def __init__(self, loop: VirtualLoop, submit: Submit) -> None:
        self._loop = loop
        self._submit = submit

    async def __call__(
        self,
        deadline_s: float,
        function: Callable[..., T],
        *args: Any,  # noqa: ANN401
    ) -> T:
        """The result at `deadline_s`; at this instant if that is past or infinite: such work is
        not charged. What it raises is raised then as well: the instant of a failure may depend on
        the host no more than a result's."""
        job = self._submit(deadline_s, function, *args)
        done: asyncio.Future[T] = self._loop.create_future()
        when_s = deadline_s if math.isfinite(deadline_s) else self._loop.time()
        handle = self._loop.hold_until(when_s, job, done)
        try:
            return await done
        except asyncio.CancelledError:
            handle.cancel()
            job.cancel()
            raise


def here_and_now(
    deadline_s: float,
    function: Callable[..., T],
    /,
    *args: Any,  # noqa: ANN401
) -> "Future[T]":
    """A `Submit` for work so short that a thread would cost more."""
    job: Future[T] = Future()
    try:
        job.set_result(function(*args))
    except Exception as error:
        job.set_exception(error)
    return job
