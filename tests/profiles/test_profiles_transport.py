"""Queue, loss and congestion control of a network's table."""

from collections.abc import Mapping
from types import MappingProxyType

import pytest

from profiles import ProfileError
from profiles.document import Table
from profiles.network import Network, parse_network
from profiles.transport import LEAST_QUEUE_BYTES

GIVEN: Mapping[str, object] = MappingProxyType(
    {
        "title": "a link",
        "down": {"value": 10, "unit": "Mbit/s", "source": "a book"},
        "up": {"value": 5, "unit": "Mbit/s", "source": "a book"},
        "rtt": {"value": 40, "unit": "ms", "source": "a book"},
    }
)


def network(**keys: object) -> Network:
    return parse_network("a", Table("a.toml", "", {**GIVEN, **keys}))


def figure(value: object, unit: str) -> dict[str, object]:
    return {"value": value, "unit": unit, "source": "a book"}


def test_what_is_not_said_is_assumed_and_says_so() -> None:
    plain = network()
    assert plain.transport.congestion_control == "cubic"
    assert plain.transport.loss == 0
    assert plain.quantities["queue"].source.startswith("assumed: ")
    assert plain.transport.queue_at(1e6) == 200_000
    assert plain.transport.queue_at(1e3) == LEAST_QUEUE_BYTES


@pytest.mark.parametrize(
    ("queue", "at_a_megabyte"),
    [
        (figure(300, "ms"), 300_000),
        (figure(1, "ms"), LEAST_QUEUE_BYTES),
        (figure(1514, "B"), 1514),
        (figure(64, "kB"), 64_000),
        (figure(2, "MB"), 2_000_000),
    ],
)
def test_a_queue_is_a_time_or_a_size(queue: dict[str, object], at_a_megabyte: float) -> None:
    assert network(queue=queue).transport.queue_at(1e6) == at_a_megabyte


def test_a_network_reads_what_it_writes() -> None:
    first = network(loss=figure(0.2, "%"), queue=figure(64, "kB"), congestion_control="reno")
    assert first.transport.loss == pytest.approx(0.002)
    again = parse_network("a", Table("a.toml", "", first.to_mapping()))
    assert again == first
    paced = network(congestion_control="none")
    assert parse_network("a", Table("a.toml", "", paced.to_mapping())) == paced


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ({"congestion_control": "bbr"}, "congestion_control"),
        ({"congestion_control": 3}, "congestion_control"),
        ({"loss": figure(100, "%")}, "loss.value"),
        ({"loss": figure(0, "%")}, "loss.value"),
        ({"loss": figure(1, "ms")}, "loss.unit"),
        ({"loss": 0.1}, "loss"),
        ({"queue": figure(1000, "B")}, "queue.value"),
        ({"queue": figure(10, "Mbit/s")}, "queue.unit"),
        ({"queue": figure(10, "MiB")}, "queue.unit"),
        ({"queue": "deep"}, "queue"),
        ({"congestion_control": "none", "loss": figure(1, "%")}, "loss"),
        ({"congestion_control": "none", "queue": figure(1, "s")}, "queue"),
    ],
)
def test_impossible_transports_are_refused_by_key(keys: dict[str, object], place: str) -> None:
    with pytest.raises(ProfileError) as caught:
        network(**keys)
    assert str(caught.value).startswith(f"a.toml: {place}: ")
