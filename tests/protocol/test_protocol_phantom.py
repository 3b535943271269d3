"""Phantoms: only connections in memory carry them; and what else is encoded or timed once."""

import pytest

from protocol import codec, phantom
from protocol.errors import LocalError, ProtocolError
from protocol.fields import Malformed, one_of
from protocol.messages import Plan
from protocol.telemetry import ListRecorder, Span, Tracer


class InMemory:
    def __init__(self) -> None:
        self.phantom_bytes = 0

    def write_phantom(self, size: int) -> None:
        self.phantom_bytes += size


def test_a_connection_in_memory_counts_what_crossed_it() -> None:
    transport = InMemory()
    phantom.send(transport, 1000)
    phantom.send(transport, 24)
    assert phantom.received_bytes(transport) == 1024


def test_a_real_connection_refuses_phantoms() -> None:
    with pytest.raises(LocalError, match="needs a connection in memory"):
        phantom.send(object(), 1000)
    assert phantom.received_bytes(object()) == 0


def test_a_message_for_all_is_encoded_once_and_another_anew() -> None:
    plan, other = Plan(1, 1, (0, 1), "plain", 0), Plan(2, 1, (0, 1), "plain", 0)
    first = codec.encode(plan)
    assert codec.encode(plan) is first
    assert codec.decode(codec.encode(other)) == other
    assert codec.encode(plan) == first


def test_one_of_refuses_everything_else() -> None:
    read = one_of("plain", "secagg")
    assert read("plan.aggregation", "secagg") == "secagg"
    for value in ("Plain", b"plain", None, ["plain"]):
        with pytest.raises(Malformed, match=r"plan\.aggregation: must be one of plain, secagg"):
            read("plan.aggregation", value)
    assert not issubclass(Malformed, ProtocolError)


def test_a_span_tells_how_late_the_emulation_was_during_it() -> None:
    recorder, late_s = ListRecorder(), iter([1.0, 1.25])
    tracer = Tracer(recorder, lambda: 0.0, late=lambda: next(late_s))
    with tracer.span("fit", 1):
        pass
    (span,) = recorder.items
    assert isinstance(span, Span)
    assert span.notes["late_s"] == 0.25
