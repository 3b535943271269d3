"""The training processes: order, faults, and that none is left behind."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.worker import jobs
from worker.machine import RealMachine, in_thread
from worker.pool import PoolError, TrainingPool


def open_gate(path: str) -> None:
    Path(path).touch()


def lines(path: str) -> list[str]:
    return Path(path).read_text().split()


@pytest_asyncio.fixture
async def pool() -> AsyncIterator[TrainingPool]:
    """One process, so that the order is total."""
    pool = TrainingPool(1)
    yield pool
    pool.close()


async def test_the_nearest_deadline_runs_first(pool: TrainingPool, tmp_path: Path) -> None:
    gate, order = str(tmp_path / "gate"), str(tmp_path / "order")
    waiting: list[asyncio.Task[object]] = [asyncio.create_task(pool(0.0, jobs.wait_for, gate))]
    await asyncio.sleep(0)  # it has the process before the others come
    for deadline_s, name in [(9, "d"), (1, "a"), (float("inf"), "e"), (3, "b"), (3, "c")]:
        waiting.append(asyncio.create_task(pool(deadline_s, jobs.noted, order, name)))
        await asyncio.sleep(0)
    open_gate(gate)
    await asyncio.gather(*waiting)
    assert lines(order) == ["a", "b", "c", "d", "e"]


async def test_a_jobs_own_exception_comes_back(pool: TrainingPool) -> None:
    with pytest.raises(jobs.JobError, match=r"^loss is nan$"):
        await pool(0.0, jobs.fail, "loss is nan")
    assert await pool(0.0, abs, -3) == 3


async def test_what_cannot_be_sent_to_a_process_is_an_error_of_its_job(pool: TrainingPool) -> None:
    with pytest.raises((TypeError, AttributeError)):
        await pool(0.0, abs, lambda: 0)
    assert await pool(0.0, abs, -3) == 3


async def test_a_process_that_is_killed_loses_its_job_only(pool: TrainingPool) -> None:
    before, _, _ = await pool(0.0, jobs.nature)
    died = asyncio.create_task(pool(0.0, jobs.die))
    await asyncio.sleep(0)
    queued = asyncio.create_task(pool(1.0, jobs.nature))
    with pytest.raises(PoolError, match="a training process died"):
        await died
    after, _, _ = await queued
    assert after != before


async def test_a_process_that_died_idle_is_replaced(pool: TrainingPool) -> None:
    before, _, _ = await pool(0.0, jobs.nature)
    with pytest.raises(PoolError):
        await pool(0.0, jobs.die)
    await pool.rehearse("afterwards", jobs.nature)
    after, _, _ = await pool(0.0, jobs.nature)
    assert after != before


async def test_a_rehearsal_that_kills_its_process_is_told_and_may_be_repeated(
    pool: TrainingPool, tmp_path: Path
) -> None:
    with pytest.raises(PoolError, match="while it was being prepared"):
        await pool.rehearse("it", jobs.die)
    order = str(tmp_path / "order")
    await pool.rehearse("it", jobs.noted, order, "again")
    assert lines(order) == ["again"]


async def test_each_rehearsal_happens_once(pool: TrainingPool, tmp_path: Path) -> None:
    order = str(tmp_path / "order")
    await asyncio.gather(*(pool.rehearse("a", jobs.noted, order, "a") for _ in range(5)))
    await pool.rehearse("b", jobs.noted, order, "b")
    await pool.rehearse("a", jobs.noted, order, "a")
    assert lines(order) == ["a", "b"]


async def test_jobs_that_nobody_waits_for_are_dropped(pool: TrainingPool, tmp_path: Path) -> None:
    """However many: a fleet's whole queue is cancelled when a run is interrupted."""
    gate, order = str(tmp_path / "gate"), str(tmp_path / "order")
    busy = asyncio.create_task(pool(0.0, jobs.wait_for, gate))
    await asyncio.sleep(0)
    dropped = [asyncio.create_task(pool(1.0, jobs.noted, order, "x")) for _ in range(2000)]
    kept = asyncio.create_task(pool(2.0, jobs.noted, order, "kept"))
    await asyncio.sleep(0)
    for task in dropped:
        task.cancel()
    await asyncio.gather(*dropped, return_exceptions=True)
    open_gate(gate)
    await busy
    assert await kept == "kept"
    assert lines(order) == ["kept"]


async def test_a_running_job_that_is_cancelled_gives_its_process_back(
    pool: TrainingPool, tmp_path: Path
) -> None:
    gate = str(tmp_path / "gate")
    busy = asyncio.create_task(pool(0.0, jobs.wait_for, gate))
    await asyncio.sleep(0)
    busy.cancel()
    await asyncio.gather(busy, return_exceptions=True)
    open_gate(gate)
    assert await pool(0.0, abs, -3) == 3


async def test_closing_leaves_no_process() -> None:
    pool = TrainingPool(2)
    await pool.rehearse("both", jobs.nature)
    natures = [await pool(0.0, jobs.nature) for _ in range(2)]
    pool.close()
    for process, threads, scheduler in natures:
        assert threads == "1"
        assert scheduler == os.SCHED_IDLE
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


async def test_a_real_machine_computes_and_is_as_fast_as_it_is() -> None:
    asked: list[tuple[float, object]] = []

    async def executor(deadline_s: float, function: object, *args: object) -> object:
        asked.append((deadline_s, function))
        return await in_thread(deadline_s, function, *args)  # type: ignore[arg-type]

    machine = RealMachine(executor)  # type: ignore[arg-type]
    before_s = asyncio.get_running_loop().time()
    assert await machine.run({}, divmod, 17, 5) == (3, 2)
    ((deadline_s, function),) = asked
    assert function is divmod
    assert before_s <= deadline_s <= asyncio.get_running_loop().time()
    with pytest.raises(ZeroDivisionError):
        await machine.run({}, divmod, 1, 0)
