"""What devices share, put together from a fleet; and where that cannot be."""

from dataclasses import replace
from pathlib import Path

import pytest

from commands.errors import BadInput
from commands.settings import RunSettings
from commands.sharing import at_coordinator, shared_network
from netem.device import LinkPair
from netem.link import LinkParameters
from netem.timer import ManualTimer
from profiles import Fleet, load_fleet
from tests.profiles.test_profiles_shared import FLEET, LINK

MIXED = load_fleet("mixed-20")


@pytest.fixture
def flat(tmp_path: Path) -> Fleet:
    path = tmp_path / "flat.toml"
    path.write_text(FLEET + LINK)
    return load_fleet(str(path))


def test_each_member_crosses_what_it_shares(flat: Fleet) -> None:
    fleet = replace(flat, coordinator=MIXED.coordinator)
    network = shared_network(fleet, ManualTimer(), 2.0, coordinator=True)
    alone, together = network.crossings(1), network.crossings(2)
    assert alone[0] is not None
    assert together[0] is not None
    assert together[1] is not None
    assert [wire.bytes_per_s for wire in alone[0].wires] == [1e9 / 8 / 2]
    assert [wire.bytes_per_s for wire in together[0].wires] == [10e6 / 8 / 2, 1e9 / 8 / 2]
    assert [wire.bytes_per_s for wire in together[1].wires] == [50e6 / 8 / 2, 1e9 / 8 / 2]
    pair = network.lengthened(LinkPair(LinkParameters(1e6, 0.01), LinkParameters(1e6, 0.01)))
    assert pair.up.delay_s == pytest.approx(0.01 + 0.0005 / 2 * 2)


def test_without_the_coordinator_only_some_share(flat: Fleet) -> None:
    network = shared_network(flat, ManualTimer(), 1.0, coordinator=False)
    assert network.crossings(1) == (None, None)
    assert network.crossings(0) != (None, None)
    assert network.delay_s == 0.0


@pytest.mark.parametrize(
    ("choice", "together", "expected"),
    [("auto", True, True), ("auto", False, False), ("host", True, False), ("emulated", True, True)],
)
def test_whether_the_coordinator_is_emulated(choice: str, together: bool, expected: bool) -> None:
    assert at_coordinator(RunSettings(coordinator=choice), MIXED, together) is expected


def test_a_large_fleet_is_not_queued_at_the_coordinator_unasked() -> None:
    large = replace(MIXED, members=MIXED.members * 6)
    assert at_coordinator(RunSettings(), large, together=True) is False
    assert at_coordinator(RunSettings(coordinator="emulated"), large, together=True) is True


def test_what_cannot_be_shared_is_refused(flat: Fleet) -> None:
    with pytest.raises(BadInput, match="shared: devices that share a link must be played together"):
        at_coordinator(RunSettings(), flat, together=False)
    with pytest.raises(BadInput, match="emulated: needs `run` with placement=tasks"):
        at_coordinator(RunSettings(coordinator="emulated"), MIXED, together=False)
    with pytest.raises(BadInput, match="fleet flat has no"):
        at_coordinator(RunSettings(coordinator="emulated"), flat, together=True)
