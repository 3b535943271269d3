"""The virtual loop: exact time, order on ties, held clock, and refusals that say why."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netem.timer import LoopTimer, sleep_until, timer_for
from netem.virtual.errors import Deadlock, RealWorld, VirtualClockError
from netem.virtual.loop import VirtualLoop
from netem.virtual.work import HeldClock, here_and_now

T = TypeVar("T")


def play(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_year_passes_at_once_and_exactly() -> None:
    async def main() -> float:
        assert now() == 0.0
        await asyncio.sleep(365 * 86_400)
        return now()

    before_s = time.monotonic()
    assert play(main()) == 365 * 86_400
    assert time.monotonic() - before_s < 10


@given(st.lists(st.sampled_from([0.0, 0.1, 0.1 + 0.2, 0.3, 1.0, 1e9]), max_size=30))
def test_timers_ring_in_time_and_on_ties_in_the_order_they_were_set(delays: list[float]) -> None:
    rung: list[tuple[float, int]] = []

    def ring(number: int) -> None:
        rung.append((now(), number))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number, delay_s in enumerate(delays):
            loop.call_at(delay_s, ring, number)
        await asyncio.sleep(2e9)

    play(main())
    assert rung == sorted((delay_s, number) for number, delay_s in enumerate(delays))


def test_a_cancelled_timer_neither_rings_nor_moves_the_clock() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        handles = [loop.call_later(5, pytest.fail, "rang") for _ in range(1000)]
        loop.call_later(1, lambda: None)
        for handle in handles:
            handle.cancel()
        assert not [handle for handle in handles if not handle.cancelled()]
        await asyncio.sleep(2)
        return now()

    assert play(main()) == 2.0


def test_timeouts_are_exact() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await asyncio.Event().wait()
        return now()

    assert play(main()) == 0.3


def test_a_timer_set_for_the_past_rings_now() -> None:
    async def main() -> list[float]:
        await asyncio.sleep(5)
        rung: list[float] = []
        asyncio.get_running_loop().call_at(1.0, lambda: rung.append(now()))
        await asyncio.sleep(1)
        return rung

    assert play(main()) == [5.0]


def test_an_instant_that_is_no_number_is_refused() -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="not a number"):
            asyncio.get_running_loop().call_at(float("nan"), print)

    play(main())


def test_a_deadlock_tells_who_waits_where() -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        await asyncio.sleep(1.5)
        await asyncio.gather(asyncio.create_task(forever(), name="the sleeper"))

    with pytest.raises(Deadlock, match=r"at 1\.500000 s.*the sleeper: .*forever waits in wait"):
        play(main())


def test_a_timer_that_never_rings_is_a_deadlock_too() -> None:
    async def main() -> None:
        await asyncio.sleep(float("inf"))

    with pytest.raises(Deadlock, match="main waits in sleep"):
        play(main())


def test_spinning_at_one_instant_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netem.virtual.loop._STANDSTILL", 10_000)

    async def main() -> None:
        for _ in range(1_000_000):
            await asyncio.sleep(0)

    with pytest.raises(VirtualClockError, match=r"time stands still at 0\.000000 s"):
        play(main())


async def _real_socket() -> None:
    await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=object())  # type: ignore[call-overload]


async def _tls() -> None:
    await asyncio.get_running_loop().create_connection(asyncio.Protocol, "h", 1, ssl=True)


async def _process() -> None:
    await asyncio.create_subprocess_exec("true")


async def _reader() -> None:
    asyncio.get_running_loop().add_reader(0, print)


async def _datagrams() -> None:
    await asyncio.get_running_loop().create_datagram_endpoint(asyncio.DatagramProtocol)


@pytest.mark.parametrize("ask", [_real_socket, _tls, _process, _reader, _datagrams])
def test_the_real_world_is_refused(ask: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with pytest.raises(RealWorld, match=r"loop\."):
        play(ask())


def test_uncharged_work_takes_no_virtual_time() -> None:
    async def main() -> tuple[float, int]:
        asyncio.get_running_loop().call_later(0.001, pytest.fail, "the clock moved")
        thread = await asyncio.to_thread(threading.get_ident)
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(divmod, 1, 0)
        return now(), thread

    assert play(main()) == (0.0, threading.get_ident())


def test_an_executor_holds_the_clock_until_it_reports() -> None:
    gate = threading.Event()

    def work() -> str:
        gate.wait(10)
        return "done"

    async def main() -> tuple[float, str]:
        loop = asyncio.get_running_loop()
        loop.call_later(1e-9, pytest.fail, "the clock moved")
        with ThreadPoolExecutor(1) as threads:
            job = loop.run_in_executor(threads, work)
            loop.call_soon(gate.set)
            return now(), await job

    assert play(main()) == (0.0, "done")


@pytest.mark.parametrize("finishing", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_results_come_at_their_charged_instants_whoever_is_done_first(
    finishing: tuple[int, ...],
) -> None:
    """Jobs that end in any real order are handed over by deadline, ties by order of submission."""
    gates = [threading.Event() for _ in range(3)]
    story: list[tuple[str, float]] = []

    def compute(number: int) -> int:
        assert gates[number].wait(10)
        following = finishing.index(number) + 1
        if following < 3:
            gates[finishing[following]].set()
        return number

    async def main(threads: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        executor = HeldClock(loop, lambda _, function, *args: threads.submit(function, *args))

        async def job(number: int, deadline_s: float) -> None:
            story.append((f"job {await executor(deadline_s, compute, number)}", now()))

        loop.call_at(1.0, lambda: story.append(("timer", now())))
        gates[finishing[0]].set()
        await asyncio.gather(job(0, 2.0), job(1, 1.5), job(2, 1.5))

    with ThreadPoolExecutor(3) as threads:
        play(main(threads))
    assert story == [("timer", 1.0), ("job 1", 1.5), ("job 2", 1.5), ("job 0", 2.0)]


def test_a_failure_comes_at_the_charged_instant_and_without_a_deadline_at_once() -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        executor, at = HeldClock(loop, here_and_now), []
        for deadline_s in (2.0, float("inf"), 1.0):
            with pytest.raises(ZeroDivisionError):
                await executor(deadline_s, divmod, 1, 0)
            at.append(now())
        return at

    assert play(main()) == [2.0, 2.0, 2.0]


def test_work_that_nobody_waits_for_does_not_hold_the_clock() -> None:
    gate = threading.Event()

    async def main(threads: ThreadPoolExecutor) -> float:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        executor = HeldClock(loop, lambda _, function, *args: threads.submit(function, *args))
        job = asyncio.ensure_future(executor(1.0, gate.wait, 10))
        await asyncio.sleep(0.5)
        job.cancel()
        await asyncio.sleep(10)
        return now()

    with ThreadPoolExecutor(1) as threads:
        assert play(main(threads)) == 10.5
        gate.set()


def test_a_signal_interrupts_it() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_later(3, os.kill, os.getpid(), signal.SIGINT)
        for _ in range(1_000_000):
            await asyncio.sleep(1)

    with pytest.raises(KeyboardInterrupt):
        play(main())


def test_a_handled_signal_is_seen_while_the_loop_is_busy() -> None:
    async def main() -> float:
        loop, seen = asyncio.get_running_loop(), asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, seen.set)
        os.kill(os.getpid(), signal.SIGTERM)
        seconds = 0
        while not seen.is_set() and seconds < 100_000:
            seconds += 1
            await asyncio.sleep(1)
        loop.remove_signal_handler(signal.SIGTERM)
        return now()

    assert play(main()) < 10_000


def test_a_watcher_sees_the_run_and_changes_nothing_of_it() -> None:
    async def main(watched: bool) -> tuple[float, int]:
        loop, shown = asyncio.get_running_loop(), 0
        assert isinstance(loop, VirtualLoop)

        def show() -> None:
            nonlocal shown
            shown += 1

        end = loop.watch(0.0, show) if watched else lambda: None
        for _ in range(2000):
            await asyncio.sleep(0.25)
        end()
        return now(), shown

    when_s, shown = play(main(True))
    assert shown > 1
    assert play(main(False)) == (when_s, 0)


def test_alarms_ring_exactly() -> None:
    async def main() -> None:
        timer = timer_for(asyncio.get_running_loop())
        assert isinstance(timer, LoopTimer)
        for when_s in (0.1, 0.30000000000000004, 12345.678):
            await sleep_until(timer, when_s)
            assert timer.now() == when_s

    play(main())
