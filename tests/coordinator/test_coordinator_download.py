"""What a download is made of, and how long it is waited for."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from coordinator.app import _download, _write_all, written_out
from coordinator.status import Transfer
from protocol.pattern import NO_PATTERN, PatternName

LIMIT_S = 30.0
NAMED = PatternName(2, bytes(32), 40_000)


@dataclass
class Portion:
    vector: np.ndarray[Any, np.dtype[np.float32]]

    def tail(self, held: str) -> bytes:
        return b"the pattern" if held == "1-00" else b""


@dataclass
class Playing:
    portions: dict[int, Portion]
    pattern: PatternName


class Response:
    def __init__(self) -> None:
        self.written = b""

    async def write(self, piece: memoryview) -> None:
        assert len(piece) <= 2**16
        self.written += bytes(piece)


@pytest.mark.parametrize("named", [NO_PATTERN, NAMED])
@pytest.mark.parametrize("held", ["", "1-00"])
async def test_the_values_are_the_models_own_memory(named: PatternName, held: str) -> None:
    """Not a copy for each client: a fleet downloads at the same time."""
    vector = np.arange(40_000, dtype="<f4")
    played = Playing({7: Portion(vector)}, named)
    pieces, told = _download(played, 7, held)  # type: ignore[arg-type]
    assert np.shares_memory(np.frombuffer(pieces[0], "<f4"), vector)
    tail = b"the pattern" if named and held else b""
    length = {"Pattern": named.text, "Pattern-Bytes": str(len(tail))}
    assert told == (length if named else {})
    response, progress = Response(), Transfer(0, 160_000 + len(tail))
    await _write_all(response, pieces, progress)  # type: ignore[arg-type]
    assert response.written == vector.tobytes() + tail
    assert progress.done_bytes == progress.total_bytes


async def test_a_body_that_moves_however_slowly_is_waited_for() -> None:
    written = asyncio.Event()

    def unsent() -> Iterator[int]:
        yield from range(1000, 990, -1)
        written.set()
        yield 990

    await written_out(written.wait(), unsent().__next__, 0.001)
    assert written.is_set()


async def test_a_body_that_does_not_move_is_given_up() -> None:
    with pytest.raises(TimeoutError):
        await written_out(asyncio.Event().wait(), iter([1000, 999, 999]).__next__, 0.001)


async def test_a_connection_that_breaks_under_a_body() -> None:
    async def broken() -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await written_out(broken(), lambda: 0, LIMIT_S)
