"""What a worker is told beforehand: whom to believe, and how many of all clients not to."""

import pytest

from protocol.errors import LocalError
from protocol.identity import Identity
from protocol.messages import Plan
from protocol.secagg.pinned import Pinned
from protocol.secagg.terms import Terms
from worker.worker import Pins

IDENTITIES = {client: Identity(bytes([client]) * 32).public for client in range(20)}


@pytest.mark.parametrize(("fraction", "corrupt"), [(0.0, 0), (0.01, 1), (0.1, 2), (0.3, 6)])
def test_the_corrupt_are_counted_among_all_clients(fraction: float, corrupt: int) -> None:
    assert Pins(Identity(bytes(32)), IDENTITIES, fraction).corrupt == corrupt


@pytest.mark.parametrize(
    ("clients", "rule"),
    [((0, 1), "exceed the 2 corrupt"), ((0, 1, 2), "fewer than 2 honest")],
)
def test_no_sum_of_all_the_corrupt_and_one_other(clients: tuple[int, ...], rule: str) -> None:
    """The coordinator says who takes part: 10 % of twenty may be two of its three."""
    pins = Pins(Identity(bytes(32)), IDENTITIES, 0.1)
    terms = Terms.of_plan(bytes(16), Plan(1, 1, clients, "secagg", len(clients)))
    with pytest.raises(LocalError, match=rule):
        Pinned(terms, pins.identities, pins.corrupt)
    larger = Terms.of_plan(bytes(16), Plan(1, 1, (*clients, 3, 4), "secagg", 4))
    assert Pinned(larger, pins.identities, pins.corrupt)
