"""Populations: the same members every time, as the mix and the spread say, and nothing slips by."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

import pytest

from profiles import Fleet, Population, ProfileError, fleet_from_mapping, load_fleet, show
from profiles.population import WIDEST, Drawn

DESCRIPTION = """title = "Drawn"
[population]
count = 40
seed = 3
devices_source = "assumed: for a test"
networks_source = "assumed: for a test"
availability = { value = 80, unit = "%", source = "assumed: for a test" }
[population.spread]
compute = { value = 1.5, unit = "gsd", source = "assumed: for a test" }
[[population.devices]]
device = "pixel4"
weight = 3
[[population.devices]]
device = "pixel3"
weight = 1
[[population.networks]]
network = "mobile-world"
weight = 1
"""
# Of the members as drawn by Python 3.11 on x86-64 Linux: another value is another fleet.
DIGEST = "f0a0dfdcdc9937df"


def population(fleet: Fleet) -> Population:
    assert fleet.population is not None
    return fleet.population


@pytest.fixture(scope="module")
def thousand() -> Fleet:
    return load_fleet("population-1000")


@pytest.fixture(scope="module")
def drawn(thousand: Fleet) -> list[Drawn]:
    return list(population(thousand).members())


def test_the_shipped_population_is_the_one_it_was(thousand: Fleet) -> None:
    assert population(thousand).digest()[:16] == DIGEST


def test_a_larger_population_begins_with_the_smaller(drawn: list[Drawn]) -> None:
    larger: Iterator[Drawn] = population(load_fleet("population-10000")).members()
    assert [next(larger) for _ in drawn] == drawn


def test_another_seed_gives_other_members(thousand: Fleet, drawn: list[Drawn]) -> None:
    other = list(replace(population(thousand), seed=2).members())
    assert sum(a == b for a, b in zip(drawn, other, strict=True)) == 0


def test_the_mix_is_met(thousand: Fleet, drawn: list[Drawn]) -> None:
    """Every count within four standard deviations of its binomial."""
    mixes = (
        (population(thousand).devices.choices, Counter(m.device.name for m in drawn)),
        (population(thousand).networks.choices, Counter(m.network.name for m in drawn)),
    )
    for choices, found in mixes:
        total = sum(weight for _, weight in choices)
        for profile, weight in choices:
            share = weight / total
            bound = 4 * math.sqrt(len(drawn) * share * (1 - share))
            assert abs(found[profile.name] - share * len(drawn)) < bound


def test_factors_are_log_normal_with_median_one_and_cut_off(
    thousand: Fleet, drawn: list[Drawn]
) -> None:
    for figure, quantity in population(thousand).spread.items():
        logs = [math.log(getattr(member, figure)) for member in drawn]
        sigma = math.log(quantity.value)
        assert abs(mean(logs)) < 4 * sigma / math.sqrt(len(logs))
        assert stdev(logs) == pytest.approx(sigma, rel=0.1)
        assert max(map(abs, logs)) <= WIDEST * sigma + 1e-6


def test_a_member_s_figures_are_its_profile_s_times_its_factors(
    thousand: Fleet, drawn: list[Drawn]
) -> None:
    member, own = thousand.members[7], drawn[7]
    for operation, seconds in own.device.seconds_per_operation.items():
        assert member.device.seconds_per_operation[operation] == seconds * own.compute
    assert member.network.up_bytes_per_s == own.network.up_bytes_per_s * own.rate
    assert member.network.rtt_s == own.network.rtt_s * own.rtt
    assert member.device.name == own.device.name


def test_what_does_not_spread_is_the_profile_itself(tmp_path: Path) -> None:
    (tmp_path / "drawn.toml").write_text(DESCRIPTION)
    fleet = load_fleet("drawn.toml", tmp_path)
    assert {(m.rate, m.rtt) for m in population(fleet).members()} == {(1.0, 1.0)}
    assert len({m.compute for m in population(fleet).members()}) > 30


def test_the_mapping_of_ten_thousand_is_as_short_as_that_of_ten() -> None:
    mapping = load_fleet("population-10000").to_mapping()
    assert "members" not in mapping
    assert len(str(mapping)) < 60_000  # the profiles' figures and sources


def test_a_mapping_that_gives_other_members_is_refused(tmp_path: Path) -> None:
    (tmp_path / "drawn.toml").write_text(DESCRIPTION)
    mapping = load_fleet("drawn.toml", tmp_path).to_mapping()
    mapping["digest"] = "0" * 64
    with pytest.raises(ProfileError, match="does not give the members that were recorded"):
        fleet_from_mapping(mapping, "config.toml")


def test_a_population_is_shown_with_sources_and_digest(thousand: Fleet) -> None:
    text = show(thousand)
    assert "1000 clients\ndrawn with seed 1; digest f0a0dfdc" in text
    assert "assumed: mid-range phones most frequent" in text
    assert "? spread of compute" in text
    assert "90 %" in text


ROWS = [
    ("count = 40", "count = 0", "population.count", "from 1 to 100000"),
    ("seed = 3\n", "", "population.seed", "is missing"),
    ("count = 40", "count = 40\nsize = 2", "population.size", "unknown key"),
    ('devices_source = "assumed: for a test"\n', "", "population.devices_source", "is missing"),
    ("weight = 3", "weight = 0", "population.devices[0].weight", "from 1 to"),
    ("weight = 3", "weight = 0.5", "population.devices[0].weight", "whole number"),
    ('"pixel3"', '"pixel4"', "population.devices[1].device", "repeats 'pixel4'"),
    ('"pixel3"', '"pixl3"', "population.devices[1].device", "did you mean pixel3"),
    ("value = 1.5", "value = 1", "population.spread.compute.value", "must be above 1"),
    ("value = 1.5", "value = 11", "population.spread.compute.value", "at most 10"),
    ('unit = "gsd"', 'unit = "%"', "population.spread.compute.unit", "not one of gsd"),
    ("compute =", "speed =", "population.spread.speed", "unknown key"),
    ("value = 80", "value = 101", "population.availability.value", "at most 100 %"),
    ("[[population.networks]]", "[[population.links]]", "population.links", "unknown key"),
]


@pytest.mark.parametrize(("old", "new", "key", "rule"), ROWS)
def test_malformed_populations(tmp_path: Path, old: str, new: str, key: str, rule: str) -> None:
    assert DESCRIPTION.count(old) >= 1
    (tmp_path / "drawn.toml").write_text(DESCRIPTION.replace(old, new, 1))
    with pytest.raises(ProfileError) as caught:
        load_fleet("drawn.toml", tmp_path)
    assert caught.value.key == key
    assert rule in caught.value.rule


def test_members_and_population_exclude_each_other(tmp_path: Path) -> None:
    listed = '[[members]]\ncount = 1\ndevice = "pixel4"\nnetwork = "umts"\n'
    (tmp_path / "both.toml").write_text(DESCRIPTION + listed)
    with pytest.raises(ProfileError, match="have one or the other"):
        load_fleet("both.toml", tmp_path)
