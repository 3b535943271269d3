"""The shipped devices and networks: complete, sourced, and true to the sources they name."""

import dataclasses
from collections.abc import Callable

import pytest

from profiles import (
    OPERATIONS,
    Device,
    Kind,
    Network,
    Standing,
    list_profiles,
    load_device,
    load_network,
    load_profile,
    show,
)
from protocol.work import Operation

DEVICES, NETWORKS = list_profiles(Kind.DEVICE), list_profiles(Kind.NETWORK)
NOTE_10_SCORE = 3734


def training_s(device: Device, macs: float, batches: int) -> float:
    costs = device.seconds_per_operation
    return macs * costs["training_mac"] + batches * costs["training_batch"]


def test_devices_state_a_cost_for_exactly_the_operations_of_the_vocabulary() -> None:
    assert sorted(OPERATIONS) == sorted(operation.value for operation in Operation)
    for name in DEVICES:
        assert tuple(load_device(name).seconds_per_operation) == OPERATIONS


def test_enough_is_shipped_and_no_name_is_used_twice() -> None:
    names = [name for kind in Kind for name in list_profiles(kind)]
    assert len(names) == len(set(names))
    assert len(DEVICES) >= 12
    assert len(NETWORKS) >= 10
    shipped = {"cross-silo-8", "mixed-20", "population-1000", "population-10000", "uniform-20"}
    assert {*shipped, "straggler-traces-8"} <= set(list_profiles(Kind.FLEET))


@pytest.mark.parametrize("name", DEVICES + NETWORKS)
def test_every_figure_has_a_unit_and_a_source_and_is_shown(name: str) -> None:
    profile = load_profile(name)
    assert isinstance(profile, Device | Network)
    text = show(profile)
    assert profile.name == name
    assert len(profile.quantities) == (
        10 if isinstance(profile, Device) else 4
    )  # the queue is assumed
    for key, quantity in profile.quantities.items():
        assert quantity.unit
        assert len(quantity.source) > 3
        assert f"{key} " in text
        assert f"{quantity.text}   {quantity.source}" in text


@pytest.mark.parametrize(
    ("name", "batch_s"), [("galaxy-note10", 0.179), ("redmi-note8", 0.588), ("nexus6", 1.642)]
)
def test_flash_phones_take_the_published_time_for_the_anchor_batch(
    name: str, batch_s: float
) -> None:
    macs = 3 * 5.7e6 * 10
    assert training_s(load_device(name), macs, 1) == pytest.approx(batch_s, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "score"),
    [
        ("galaxy-s10", 4062),
        ("pixel4", 3212),
        ("oneplus-7t", 3211),
        ("pixel3", 2324),
        ("galaxy-s9", 2212),
        ("galaxy-s9-exynos", 1723),
        ("pixel2", 1668),
        ("redmi-note4", 801),
    ],
)
def test_other_phones_follow_the_ratio_of_the_float_scores(name: str, score: int) -> None:
    device = load_device(name)
    expected_s = 0.179 * NOTE_10_SCORE / score
    assert training_s(device, 3 * 5.7e6 * 10, 1) == pytest.approx(expected_s, rel=1e-3)
    assert device.quantities["training_rate"].standing is Standing.DERIVED


@pytest.mark.parametrize(
    ("name", "sample_s"),
    [
        ("mi9", 4.525 / 16),
        ("meizu-16t", 4.815 / 16),
        ("raspberry-pi5", 0.451),
        ("raspberry-pi4", 0.955),
    ],
)
def test_mobilenet_devices_take_the_published_time_per_sample(name: str, sample_s: float) -> None:
    batch_s = training_s(load_device(name), 3 * 300e6 * 16, 1)
    assert batch_s / 16 == pytest.approx(sample_s, rel=1e-3)


@pytest.mark.parametrize(
    ("without", "with_"), [("nexus6", "redmi-note4"), ("raspberry-pi4", "raspberry-pi5")]
)
def test_devices_without_aes_instructions_pay_for_their_masks(without: str, with_: str) -> None:
    slow, fast = load_device(without), load_device(with_)
    assert "AES instructions" in slow.quantities["mask_rate"].source
    assert slow.seconds_per_operation["mask_byte"] > 5 * fast.seconds_per_operation["mask_byte"]


def test_network_figures_are_bytes_and_seconds() -> None:
    network = load_network("mobile-world")
    assert network.down_bytes_per_s == pytest.approx(105.7e6 / 8)
    assert network.up_bytes_per_s == pytest.approx(14.8e6 / 8)
    assert network.rtt_s == pytest.approx(0.024)


def test_assumed_figures_are_marked_where_they_are_shown() -> None:
    lines = show(load_network("lan-1g")).splitlines()
    assert [line[0] for line in lines if "assumed:" in line] == ["?"] * 4
    assert lines[-1] == "~ derived   ? assumed   (otherwise cited)"


@pytest.mark.parametrize("load", [lambda: load_device("pixel4"), lambda: load_network("umts")])
def test_profiles_cannot_be_changed(load: Callable[[], Device | Network]) -> None:
    profile = load()
    with pytest.raises(dataclasses.FrozenInstanceError):
        profile.title = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        profile.quantities["rtt"] = next(iter(profile.quantities.values()))  # type: ignore[index]
    assert profile == load()
    assert hash(profile) == hash(load())


def test_costs_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        load_device("pixel4").seconds_per_operation["signature"] = 0.0  # type: ignore[index]
