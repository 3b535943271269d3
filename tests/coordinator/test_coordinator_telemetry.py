"""What workers tell of their phases: on whose clock, and how much of it is taken."""

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.allowance import (
    BYTES_A_ROUND,
    BYTES_AT_FIRST,
    ITEMS_A_ROUND,
    ITEMS_AT_FIRST,
    MOST_FAREWELLS,
)
from coordinator.intake import TelemetryIntake
from protocol.errors import ProtocolError
from protocol.telemetry import Event, ListRecorder, Span


def batch(sent_s: float) -> bytes:
    span = {
        "phase": "fit",
        "round": 1,
        "start_s": sent_s - 2,
        "end_s": sent_s - 1,
        "bytes_up": 0,
        "bytes_down": 0,
        "notes": {},
    }
    event = {"kind": "fidelity", "round": 0, "time_s": sent_s, "notes": {}}
    packed: bytes = msgpack.packb({"sent_s": sent_s, "spans": [span], "events": [event]})
    return packed


@settings(max_examples=100)
@given(
    st.floats(-1e6, 1e6),
    st.lists(st.tuples(st.floats(0, 1e3), st.floats(0, 2)), min_size=1, max_size=8),
)
def test_times_are_right_up_to_the_fastest_trip_so_far(
    ahead_s: float, batches: list[tuple[float, float]]
) -> None:
    """The worker's clock is `ahead_s` ahead; each batch is sent at a time and takes a while."""
    recorder = ListRecorder()
    intake = TelemetryIntake(recorder)
    fastest_s = float("inf")
    for sent_s, trip_s in batches:
        recorder.items.clear()
        intake.accept(4, batch(sent_s + ahead_s), sent_s + trip_s, 3)
        fastest_s = min(fastest_s, trip_s)
        span, event = recorder.items
        assert isinstance(span, Span)
        assert isinstance(event, Event)
        assert event.time_s == pytest.approx(sent_s + fastest_s, abs=1e-6)
        assert span.end_s == pytest.approx(sent_s - 1 + fastest_s, abs=1e-6)
        assert span.end_s - span.start_s == pytest.approx(1, abs=1e-6)


def test_each_client_has_a_clock_of_its_own() -> None:
    recorder = ListRecorder()
    intake = TelemetryIntake(recorder)
    intake.accept(1, batch(100.0), 5.0, 3)
    intake.accept(2, batch(7.0), 5.0, 3)
    times = [item.time_s for item in recorder.items if isinstance(item, Event)]
    assert times == [5.0, 5.0]


def told(
    count: int, round_: int = 1, phase: str = "fit", kind: str = "device_away", size: int = 0
) -> bytes:
    span = {"phase": phase, "round": round_, "start_s": 0.0, "end_s": 1.0}
    span |= {"bytes_up": 0, "bytes_down": 0, "notes": {}}
    event = {"kind": kind, "round": 0, "time_s": 0.0, "notes": {"filled": "x" * size}}
    items = {"spans": [span] * count, "events": [event] * (count > 0)}
    packed: bytes = msgpack.packb({"sent_s": 0.0, **items})
    return packed


@pytest.mark.parametrize(
    "refused",
    [
        told(1, phase="round"),
        told(1, phase="unheard of"),
        told(1, kind="round_finished"),
        told(1, round_=5),
        told(ITEMS_AT_FIRST + 3 * ITEMS_A_ROUND),
        told(1, size=BYTES_AT_FIRST + 3 * BYTES_A_ROUND),
    ],
)
def test_a_worker_says_only_what_is_its_to_say_and_no_more_than_that(refused: bytes) -> None:
    """And what is refused is not counted against it."""
    recorder = ListRecorder()
    intake = TelemetryIntake(recorder)
    with pytest.raises(ProtocolError, match="telemetry batch malformed"):
        intake.accept(1, refused, 5.0, 3)
    assert recorder.items == []
    intake.accept(1, told(ITEMS_AT_FIRST + 3 * ITEMS_A_ROUND - 1, round_=4), 5.0, 3)
    assert len(recorder.items) == ITEMS_AT_FIRST + 3 * ITEMS_A_ROUND
    with pytest.raises(ProtocolError):
        intake.accept(1, told(1), 5.0, 3)
    intake.accept(2, told(1), 5.0, 3)  # another's is its own
    intake.accept(1, told(ITEMS_A_ROUND - 1), 5.0, 4)  # and more with the next round
    assert len(recorder.items) == ITEMS_AT_FIRST + 4 * ITEMS_A_ROUND + 2


def test_farewells_are_few() -> None:
    intake = TelemetryIntake(ListRecorder())
    for _ in range(MOST_FAREWELLS):
        intake.accept(1, batch(5.0), 5.0, 3)
    with pytest.raises(ProtocolError):
        intake.accept(1, batch(5.0), 5.0, 3)
