"""What is sent of a pattern: to whom holds the one before, to whom holds none, to whom holds it."""

import numpy as np
import pytest

from commands.patterns import Patterns
from learning.pattern import Pattern
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
        tail = patterns.tail(held.text)
        found = held.take(patterns.name, tail, SIZE)
        np.testing.assert_array_equal(found.kept, kept(sparsity))
        assert patterns.tail(held.text) == b""
        sizes.append(len(tail))
    assert sizes[0] == len(patterns_after(0.8).tail(""))
    assert max(sizes[1:]) < 0.6 * sizes[0]
    assert patterns.name.version == 3


def patterns_after(*sparsities: float) -> Patterns:
    patterns = Patterns()
    for sparsity in sparsities:
        patterns.replace(kept(sparsity))
    return patterns


def test_who_missed_a_round_is_told_all_of_it() -> None:
    patterns, held = patterns_after(0.8), HeldPattern()
    held.take(patterns.name, patterns.tail(""), SIZE)
    patterns.replace(kept(0.85))
    patterns.replace(kept(0.9))
    tail = patterns.tail(held.text)
    assert tail == patterns.tail("")
    assert held.take(patterns.name, tail, SIZE).version == 3


def test_the_same_survivors_are_the_same_pattern() -> None:
    patterns = patterns_after(0.8)
    name = patterns.name
    patterns.replace(kept(0.8))
    assert patterns.name is name


def test_a_restarted_coordinator_tells_all_of_it() -> None:
    before = patterns_after(0.8, 0.9)
    assert before.current is not None
    after = Patterns()
    after.restore(Pattern(before.current.kept, 2))
    assert after.name == before.name
    held = HeldPattern()
    held.take(after.name, after.tail(patterns_after(0.8).name.text), SIZE)


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
        held.take(wrong[fault], patterns.tail(""), SIZE)
    with pytest.raises(ProtocolError, match="not the one that the plan names"):
        held.take(right, b"", SIZE)
    assert held.text == ""
