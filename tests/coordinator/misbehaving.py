"""A round of three workers and one client that follows a script, and what came of it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np

from tests.coordinator.rawclient import RawClient, Stage, staged
from tests.rounds.conftest import plain_mean

Script = Callable[[RawClient, Stage], Awaitable[None]]


async def played_with(
    folder: Path, script: Script, survivors: list[int], **settings: object
) -> Stage:
    """A round of three workers and one client that follows the script after it has joined."""
    async with staged(folder, **settings) as stage:  # type: ignore[arg-type]
        raw = await stage.raw().join(3)
        await raw.ready()
        playing = asyncio.create_task(stage.run())
        await script(raw, stage)
        await raw.leave()
        await playing
        assert stage.failure is None
        (finished,) = stage.events("round_finished")
        assert finished.notes["survivors"] == survivors
        np.testing.assert_array_equal(stage.vector, plain_mean(stage, survivors))
        return stage


def reasons(stage: Stage, kind: str) -> list[tuple[object, str]]:
    return [(event.client, str(event.notes["reason"])) for event in stage.events(kind)]
