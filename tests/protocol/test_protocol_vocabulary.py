"""The plain values that both sides speak of: stragglers, tallies, spans."""

import pytest

from protocol.stragglers import Verdict, find_stragglers
from protocol.telemetry import Event, ListRecorder, Span, Tracer
from protocol.work import Operation, total


@pytest.mark.parametrize(
    ("times_s", "share", "verdict"),
    [
        ({}, 0.2, Verdict((), 0.0)),
        ({1: 3.0}, 0.2, Verdict((), 3.0)),
        ({1: 3.0, 2: 9.0}, 0.0, Verdict((), 9.0)),
        (dict.fromkeys(range(10), 5.0), 0.2, Verdict((), 5.0)),  # a uniform fleet has none
        ({1: 1.0, 2: 1.0, 3: 1.05, 4: 1.0, 5: 1.0}, 0.2, Verdict((), 1.05)),  # within the margin
        ({1: 1.0, 2: 2.0, 3: 1.0, 4: 1.0, 5: 1.0}, 0.2, Verdict((2,), 1.0)),
        ({**dict.fromkeys(range(8), 1.0), 8: 2.0, 9: 4.0}, 0.2, Verdict((9, 8), 1.0)),
        ({**dict.fromkeys(range(8), 1.0), 8: 4.0, 9: 4.0}, 0.2, Verdict((8, 9), 1.0)),
        ({1: 1.0, 2: 3.0, 3: 2.0}, 0.01, Verdict((2,), 2.0)),  # at least one may be
    ],
)
def test_who_is_a_straggler(times_s: dict[int, float], share: float, verdict: Verdict) -> None:
    assert find_stragglers(times_s, share, margin=0.1) == verdict


def test_tallies_add_up() -> None:
    some = {Operation.MASK_BYTE: 3.0, Operation.SIGNATURE: 1.0}
    assert total(some, {Operation.MASK_BYTE: 4.0}) == {
        Operation.MASK_BYTE: 7.0,
        Operation.SIGNATURE: 1.0,
    }
    assert total() == {}


def test_a_tracer_measures_time_and_bytes() -> None:
    recorder, clock, meter = ListRecorder(), iter([1.0, 3.5]), iter([(10, 20), (15, 80)])
    tracer = Tracer(recorder, clock.__next__, client=4, meter=meter.__next__)
    with tracer.span("fit", 2) as notes:
        notes["loss"] = 0.5
    assert recorder.items == [Span("fit", 2, 4, 1.0, 3.5, 5, 60, {"loss": 0.5})]


def test_a_phase_that_raises_is_recorded_all_the_same() -> None:
    recorder = ListRecorder()
    tracer = Tracer(recorder, iter([1.0, 2.0]).__next__)
    with pytest.raises(KeyError), tracer.span("keys", 1):
        raise KeyError("x")
    assert recorder.items == [Span("keys", 1, None, 1.0, 2.0, 0, 0, {"failed": "KeyError"})]


def test_an_event_has_its_instant() -> None:
    recorder = ListRecorder()
    tracer = Tracer(recorder, lambda: 7.0)
    tracer.event("client_lost", 3, phase="shares")
    assert recorder.items == [Event("client_lost", 3, None, 7.0, {"phase": "shares"})]
    assert tracer.now() == 7.0
