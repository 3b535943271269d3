"""Members slower than their profiles by a factor: what changes, what stays, what is refused."""

from pathlib import Path

import pytest

from profiles import Fleet, Kind, ProfileError, Standing, list_profiles, load_device, load_fleet
from profiles.document import Table
from profiles.fleet import fleet_from_mapping, parse_fleet

MEMBER = {"count": 1, "device": "pixel4", "network": "mobile-world"}


def times(value: float) -> dict[str, object]:
    return {"value": value, "unit": "times", "source": "assumed: a test"}


def fleet_of(*members: dict[str, object]) -> Fleet:
    table = {"title": "slowed", "members": list(members)}
    return parse_fleet("slowed", Table("slowed.toml", "", table), Path())


def test_a_slower_device_takes_as_much_longer_for_everything() -> None:
    (member,) = fleet_of(MEMBER | {"slower_compute": times(1.5)}).members
    plain = load_device("pixel4")
    assert member.device.name == "pixel4-x1.5"
    assert member.device.memory_bytes == plain.memory_bytes
    for operation, seconds in plain.seconds_per_operation.items():
        assert member.device.seconds_per_operation[operation] == pytest.approx(1.5 * seconds, 1e-5)
    changed = [k for k, q in member.device.quantities.items() if q != plain.quantities[k]]
    assert sorted(changed) == sorted(set(plain.quantities) - {"memory"})
    assert {member.device.quantities[key].standing for key in changed} == {Standing.DERIVED}


def test_a_slower_network_carries_less_and_is_as_far_away() -> None:
    slow, plain = fleet_of(MEMBER | {"slower_network": times(4)}, MEMBER).members
    assert slow.network.name == "mobile-world-x4"
    assert slow.network.up_bytes_per_s == pytest.approx(plain.network.up_bytes_per_s / 4)
    assert slow.network.down_bytes_per_s == pytest.approx(plain.network.down_bytes_per_s / 4, 1e-5)
    assert slow.network.rtt_s == plain.network.rtt_s
    assert slow.device == plain.device


def test_a_slowed_fleet_is_repeated_from_its_own_description() -> None:
    slowed = {"slower_compute": times(2), "slower_network": times(3)}
    fleet = fleet_of(MEMBER | slowed, MEMBER)
    assert fleet_from_mapping(fleet.to_mapping(), "config.toml") == fleet


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        (2, "must be a table"),
        (times(0), "must be above zero"),
        ({"value": 2, "unit": "%", "source": "assumed: x"}, "'%' is not one of times"),
        ({"value": 2, "unit": "times"}, "is missing"),
    ],
)
def test_a_wrong_factor_names_file_key_and_rule(entry: object, rule: str) -> None:
    with pytest.raises(
        ProfileError, match=r"^slowed\.toml: members\[0\]\.slower_compute"
    ) as raised:
        fleet_of(MEMBER | {"slower_compute": entry})
    assert rule in str(raised.value)


def test_factors_that_no_figure_tells_apart_are_one_member_listed_twice() -> None:
    entries = [MEMBER | {"slower_compute": times(factor)} for factor in (1.5, 1.5000001)]
    with pytest.raises(ProfileError, match=r"repeats members\[0\]"):
        fleet_of(*entries)


def test_the_sweeps_fleets_have_the_stragglers_they_name() -> None:
    names = [n for n in list_profiles(Kind.FLEET) if n.startswith(("severity-", "share-"))]
    assert len(names) == 11
    for name in names:
        kind, figure, clients = name.split("-")
        devices = [member.device.name for member in load_fleet(name).members]
        slow = [device for device in devices if device != "pixel4"]
        assert len(devices) == int(clients)
        wanted = 4 if kind == "severity" else round(float(figure) / 100 * len(devices))
        factor = figure if kind == "severity" else "2"
        assert slow == [f"pixel4-x{factor}"] * wanted
