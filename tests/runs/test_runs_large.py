"""Runs of which not everything can be kept: what is dropped changes no figure."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.telemetry import Event, Json, Span
from runs import records
from runs.analysis import analyse
from runs.errors import RunFolderError
from runs.ledger import Ledger
from runs.plots import keep_ratios
from runs.roll import kept_lines, streamed_lines
from runs.settings import read_settings
from runs.summary import summarise

Config = dict[str, Any]
ROUNDS = 9


@pytest.fixture
def items(fake_run: Callable[..., Any]) -> list[Span | Event]:
    """A warm-up of two rounds, then rounds that stay alike; one span comes a round late."""
    run = fake_run()
    run.start()
    for round_ in range(1, ROUNDS + 1):
        run.round(round_, 0.5 + round_ / 100)
        if round_ == 5:
            run.span("unmask", 5, 0, (run.now_s - 0.6, run.now_s - 0.5))
    found: list[Span | Event] = run.recorder.items
    return found


def taken(config: Config, items: list[Span | Event], most_rows: int) -> Ledger:
    ledger = Ledger(read_settings(config), most_rows=most_rows)
    for item in items:
        ledger.add(item)
    ledger.settle()
    return ledger


def test_a_large_run_comes_to_the_same(config: Config, items: list[Span | Event]) -> None:
    small, large = analyse(config, items), taken(config, items, most_rows=4)
    assert sorted(small.clients) == list(range(1, ROUNDS + 1))
    assert sorted(large.clients) == [1, 2, 7, 8, 9]
    expected: Any = summarise(small, "run", "finished")
    found: Any = summarise(large, "run", "finished")
    for straggler, other in zip(found.pop("stragglers"), expected.pop("stragglers"), strict=True):
        assert straggler.pop("phase_excess_s") == other.pop("phase_excess_s")
        assert straggler == pytest.approx(other)
    for device, other in zip(found.pop("devices"), expected.pop("devices"), strict=True):
        assert device == pytest.approx(other)
    assert found == expected


def test_no_row_of_a_large_run_is_missing_from_its_table(
    config: Config, items: list[Span | Event]
) -> None:
    whole = "".join(kept_lines(analyse(config, items)))
    ledger = Ledger(read_settings(config), most_rows=4)
    assert "".join(streamed_lines(ledger, items)) == whole
    assert len(whole.splitlines()) == 1 + 4 * ROUNDS


def test_without_warm_up_the_rows_that_are_kept_tell_the_stragglers(
    config: Config, items: list[Span | Event]
) -> None:
    config = config | {"strategy_settings": {"warmup_rounds": 0}}
    summary: Any = summarise(taken(config, items, most_rows=4), "run", "finished")
    assert summary["stragglers_from"] == "the last 3 rounds"


def test_a_stragglers_keep_ratios_are_drawn_for_every_round_in_which_it_pruned(
    config: Config, items: list[Span | Event]
) -> None:
    small, large = analyse(config, items), taken(config, items, most_rows=4)
    assert keep_ratios(large, [2]).count("round 4: ") == keep_ratios(small, [2]).count("round 4: ")


def test_a_dropped_round_is_not_finished_twice(config: Config, items: list[Span | Event]) -> None:
    ledger = taken(config, items, most_rows=4)
    with pytest.raises(RunFolderError, match="round 4 is finished once more"):
        ledger.add(Event("round_finished", 4, None, 1e6))


VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
MOMENTS = st.floats(min_value=0) | st.sampled_from([1e-4, 9.9e-5, 1e16, 0.0])


@given(st.text(), st.none() | st.integers(0), MOMENTS, st.dictionaries(st.text(), VALUES))
def test_lines_are_those_of_the_standard_library(
    word: str, client: int | None, at_s: float, notes: dict[str, Json]
) -> None:
    """Byte for byte, whichever library wrote them."""
    for item in (
        Span(word, 1, client, at_s, at_s, 1, 2, notes),
        Event(word, 1, client, at_s, notes),
    ):
        expected = json.dumps(
            records.plain(records.as_mapping(item)), ensure_ascii=False, separators=(",", ":")
        )
        assert records.encode([item]) == expected + "\n"
