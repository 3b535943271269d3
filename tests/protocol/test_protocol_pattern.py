"""A sparsity pattern's name, as plans and headers carry it."""

from protocol.messages import Plan
from protocol.pattern import NO_PATTERN, PatternName


def test_a_plan_names_its_pattern() -> None:
    digest = bytes(range(32))
    plan = Plan(3, 1, (0, 1), "plain", 0, pattern_version=2, pattern_digest=digest, surviving=50)
    assert plan.pattern == PatternName(2, digest, 50)
    assert plan.pattern
    assert plan.pattern.text == "2-" + digest.hex()


def test_without_a_pattern_nothing_is_named() -> None:
    assert Plan(3, 1, (0, 1), "plain", 0).pattern == NO_PATTERN
    assert not NO_PATTERN
    assert NO_PATTERN.text == ""
