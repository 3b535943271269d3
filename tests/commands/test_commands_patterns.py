"""What is sent of a pattern: to whom holds the one before, to whom holds none, to whom holds it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from commands.model import Whole
from commands.patterns import Patterns
from learning.pattern import Pattern
from learning.pattern_codec import decode
from protocol.errors import ProtocolError
from protocol.pattern import NO_PATTERN, PatternName
from worker.patterns import HeldPattern

SIZE = 4000
DRAWN = np.random.default_rng(0).random(SIZE)


def kept(sparsity: float) -> np.ndarray:
    return sparsity <= DRAWN


def test_a_client_follows_from_pattern_to_pattern_with_little() -> None:
    patterns, held = Patterns(), HeldPattern()
    assert patterns.name is NO_PATTERN
    patterns.replace(kept(0.0))
    assert patterns.name is NO_PATTERN
    sizes = []
    for sparsity in (0.8, 0.85, 0.88):
        patterns.replace(kept(sparsity))
        tail = patterns.telling.tail(held.text)
        found = held.take(patterns.name, tail, SIZE)
        np.testing.assert_array_equal(found.kept, kept(sparsity))
        assert patterns.telling.tail(held.text) == b""
        sizes.append(len(tail))
    assert sizes[0] == len(patterns_after(0.8).telling.tail(""))
    assert max(sizes[1:]) < 0.6 * sizes[0]
    assert patterns.name.version == 3


def patterns_after(*sparsities: float) -> Patterns:
    patterns = Patterns()
    for sparsity in sparsities:
        patterns.replace(kept(sparsity))
    return patterns


def test_who_missed_a_round_is_told_all_of_it() -> None:
    patterns, held = patterns_after(0.8), HeldPattern()
    held.take(patterns.name, patterns.telling.tail(""), SIZE)
    patterns.replace(kept(0.85))
    patterns.replace(kept(0.9))
    tail = patterns.telling.tail(held.text)
    assert tail == patterns.telling.tail("")
    assert held.take(patterns.name, tail, SIZE).version == 3


def test_the_same_survivors_are_the_same_pattern() -> None:
    patterns = patterns_after(0.8)
    name = patterns.name
    patterns.replace(kept(0.8))
    assert patterns.name is name


@dataclass
class Model:
    """What a portion sees of the global model."""

    patterns: Patterns
    vector: np.ndarray[Any, np.dtype[np.float32]]
    words: int = SIZE


@pytest.mark.parametrize("held", ["", patterns_after(0.8).name.text])
def test_a_late_download_is_told_of_its_own_rounds_pattern(held: str) -> None:
    """The sum has been applied, and the next pattern made, before it begins."""
    patterns = patterns_after(0.8, 0.85)
    name, model = patterns.name, Model(patterns, np.zeros(SIZE, np.float32))
    whole = Whole(model)  # type: ignore[arg-type]
    patterns.replace(kept(0.9))
    before = Pattern(kept(0.8), 1) if held else None
    assert decode(whole.tail(held), SIZE, before).name == name
    assert whole.vector.size == name.surviving


def test_what_is_told_is_worked_out_once_whoever_asks() -> None:
    patterns = patterns_after(0.8, 0.85)
    held = patterns_after(0.8).name.text
    whole = Whole(Model(patterns, np.zeros(SIZE, np.float32)))  # type: ignore[arg-type]
    with ThreadPoolExecutor(8) as threads:
        tails = list(threads.map(whole.tail, [held] * 40))
    assert all(tail is tails[0] for tail in tails)


def test_a_restarted_coordinator_tells_all_of_it() -> None:
    before = patterns_after(0.8, 0.9)
    assert before.current is not None
    after = Patterns()
    after.restore(Pattern(before.current.kept, 2))
    assert after.name == before.name
    held = HeldPattern()
    held.take(after.name, after.telling.tail(patterns_after(0.8).name.text), SIZE)


@pytest.mark.parametrize("fault", ["version", "digest", "surviving"])
def test_a_pattern_that_the_plan_does_not_name_is_refused_and_not_kept(fault: str) -> None:
    patterns, held = patterns_after(0.8), HeldPattern()
    right = patterns.name
    wrong = {
        "version": PatternName(2, right.digest, right.surviving),
        "digest": PatternName(1, bytes(32), right.surviving),
        "surviving": PatternName(1, right.digest, right.surviving + 1),
    }
    with pytest.raises(ProtocolError, match="not the one that the plan names"):
        held.take(wrong[fault], patterns.telling.tail(""), SIZE)
    with pytest.raises(ProtocolError, match="not the one that the plan names"):
        held.take(right, b"", SIZE)
    assert held.text == ""
