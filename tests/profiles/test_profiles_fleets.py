"""The shipped fleets have the shape they are meant to have, by the rule that finds stragglers."""

from pathlib import Path

import pytest

from profiles import (
    Fleet,
    Kind,
    Member,
    ProfileError,
    fleet_from_mapping,
    list_profiles,
    load_fleet,
    show,
)
from protocol.stragglers import Verdict, find_stragglers

# The default run: a CNN of 404 k parameters, 72 samples a client in 8 batches, 2 local epochs.
TRAINING_MACS = 3 * 5.7e6 * 72 * 2
BATCHES = 16
DOWN_BYTES, UP_BYTES = 1.62e6, 1.65e6
ROUND_TRIPS = 4  # the model's request, the upload's, and slow start over a connection kept open


def fit_s(member: Member) -> float:
    costs = member.device.seconds_per_operation
    return TRAINING_MACS * costs["training_mac"] + BATCHES * costs["training_batch"]


def upload_s(member: Member) -> float:
    return UP_BYTES / member.network.up_bytes_per_s


def network_s(member: Member, round_trips: int = ROUND_TRIPS) -> float:
    transfers_s = DOWN_BYTES / member.network.down_bytes_per_s + upload_s(member)
    return transfers_s + round_trips * member.network.rtt_s


def verdict(fleet: Fleet, round_trips: int = ROUND_TRIPS) -> Verdict:
    times_s = {m.index: fit_s(m) + network_s(m, round_trips) for m in fleet.members}
    return find_stragglers(times_s, share=0.2, margin=0.1)


@pytest.mark.parametrize("name", list_profiles(Kind.FLEET))
def test_members_are_expanded_one_per_client(name: str) -> None:
    fleet = load_fleet(name)
    assert len(fleet.members) == int(name.rpartition("-")[2])
    assert [member.index for member in fleet.members] == list(range(len(fleet.members)))
    assert fleet.coordinator is not None
    assert fleet.coordinator.device.name == "server-x86"


@pytest.mark.parametrize("round_trips", [0, 4, 15])
def test_mixed_20_has_four_stragglers(round_trips: int) -> None:
    found = verdict(load_fleet("mixed-20"), round_trips)
    assert sorted(found.stragglers) == [16, 17, 18, 19]


def test_mixed_20_leaves_a_third_of_the_round_to_be_won() -> None:
    fleet = load_fleet("mixed-20")
    target_s = verdict(fleet).target_s
    slowest_s = max(fit_s(m) + network_s(m) for m in fleet.members)
    assert 0.30 <= 1 - target_s / slowest_s <= 0.45
    assert slowest_s <= 12


def test_mixed_20_is_dominated_by_compute() -> None:
    for member in load_fleet("mixed-20").members:
        assert fit_s(member) > 1.5 * network_s(member), member.device.name


def test_mixed_20_needs_both_kinds_of_pruning() -> None:
    fleet = load_fleet("mixed-20")
    target_s = verdict(fleet).target_s
    others, stragglers = fleet.members[:16], fleet.members[16:]
    target_fit_s = max(fit_s(member) for member in others)
    assert all(fit_s(member) > 1.3 * target_fit_s for member in stragglers)
    missed = [m.index for m in stragglers if target_fit_s + network_s(m) > 1.25 * target_s]
    assert missed == [18, 19]  # fitting as fast as the others is not enough behind a slow network
    for member in stragglers:
        assert network_s(member) < 0.6 * target_s  # so that pruning can reach the target at all
        assert upload_s(member) < 0.4 * target_s


def test_mixed_20_spreads_its_networks() -> None:
    rates = [
        rate * 8 / 1e6
        for member in load_fleet("mixed-20").members
        for rate in (member.network.down_bytes_per_s, member.network.up_bytes_per_s)
    ]
    assert min(rates) < 10
    assert max(rates) > 100


def test_mixed_20_is_calibrated_for_one_workload() -> None:
    assert len({member.device.anchor for member in load_fleet("mixed-20").members}) == 1


def test_uniform_20_has_no_stragglers() -> None:
    fleet = load_fleet("uniform-20")
    assert verdict(fleet).stragglers == ()
    assert len({(member.device, member.network) for member in fleet.members}) == 1


def test_cross_silo_8_has_one_straggler_in_heavy_work() -> None:
    # A 3-D CNN of 20 G forward MACs a sample and 3 M parameters, 100 samples in batches of 2.
    def round_s(member: Member) -> float:
        costs = member.device.seconds_per_operation
        fit = 3 * 20e9 * 100 * costs["training_mac"] + 50 * costs["training_batch"]
        rates = (member.network.down_bytes_per_s, member.network.up_bytes_per_s)
        return fit + sum(12e6 / rate for rate in rates) + ROUND_TRIPS * member.network.rtt_s

    times_s = {member.index: round_s(member) for member in load_fleet("cross-silo-8").members}
    assert find_stragglers(times_s, share=0.2, margin=0.1).stragglers == (7,)


@pytest.mark.parametrize("name", list_profiles(Kind.FLEET))
def test_a_fleet_survives_its_mapping(name: str) -> None:
    fleet = load_fleet(name)
    assert fleet_from_mapping(fleet.to_mapping(), "config.toml") == fleet


def test_a_mapping_must_describe_what_it_names() -> None:
    mapping = load_fleet("uniform-20").to_mapping()
    del mapping["coordinator"]
    mapping["devices"] = {}
    with pytest.raises(ProfileError) as caught:
        fleet_from_mapping(mapping, "config.toml")
    assert (caught.value.file, caught.value.key) == ("config.toml", "members[0].device")


def test_a_fleet_of_ones_own_may_mix_names_and_relative_paths(tmp_path: Path) -> None:
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "attic.toml").write_text(
        'title = "The attic"\n'
        'down = { value = 1, unit = "Mbit/s", source = "measured at home, 2026" }\n'
        'up = { value = 500, unit = "kbit/s", source = "measured at home, 2026" }\n'
        'rtt = { value = 0.2, unit = "s", source = "assumed: not measured" }\n',
        encoding="utf-8",
    )
    (tmp_path / "home.toml").write_text(
        'title = "At home"\n[[members]]\ncount = 3\ndevice = "pixel2"\nnetwork = "nets/attic.toml"',
        encoding="utf-8",
    )
    fleet = load_fleet("home.toml", tmp_path)
    assert [(m.index, m.device.name, m.network.name) for m in fleet.members] == [
        (index, "pixel2", "attic") for index in range(3)
    ]
    assert fleet.members[0].network.up_bytes_per_s == pytest.approx(62_500)
    assert fleet.coordinator is None
    assert "coordinator not emulated" in show(fleet)
    assert fleet_from_mapping(fleet.to_mapping(), "config.toml") == fleet


def test_a_fleet_is_shown_with_its_devices_and_networks() -> None:
    text = show(load_fleet("mixed-20"))
    assert text.startswith("mixed-20: Twenty phones, four stragglers\n20 clients\n")
    assert "2 × pixel2" in text
    assert "4g-india-loaded   16 Mbit/s down, 6.7 Mbit/s up, 50 ms round trip" in text
    assert "assumed" in text
