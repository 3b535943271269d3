"""Profiles of kernels: what is shipped is shown with where it is from, and every way to get one
wrong ends in one line."""

import tomllib
from pathlib import Path

import pytest

import learning.kernels
from profiles import Kernels, Kind, ProfileError, list_profiles, load_kernels, load_profile, show
from profiles.document import Table
from profiles.kernel import KINDS, PASSES, parse_kernels

GOOD = """title = "A library"
task = "digits"
conditions = "one core"
passes = "forward"
[layers.dense]
source = "measured: somewhere"
zeros = { values = [0, 50, 90], unit = "%" }
relative_time = { values = [4, 1.5, 0.5], unit = "times" }
"""


@pytest.mark.parametrize("name", list_profiles(Kind.KERNELS))
def test_what_is_shipped_was_measured_and_says_how(name: str) -> None:
    kernels = load_profile(name)
    assert isinstance(kernels, Kernels)
    assert kernels.conditions in show(kernels)
    for kind, curve in kernels.layers.items():
        assert kind in show(kernels)
        assert curve.source in show(kernels)
        assert curve.source.startswith("measured: ")
        assert curve.zeros[0] == 0
    assert "torch" in kernels.conditions


def test_vocabularies_are_those_of_learning() -> None:
    assert (KINDS, PASSES) == (learning.kernels.KINDS, learning.kernels.PASSES)


def test_figures_come_in_their_base_unit() -> None:
    kernels = parse_kernels("own", Table("own.toml", "", tomllib.loads(GOOD)))
    curve = kernels.layers["dense"]
    assert curve.zeros == (0, 0.5, 0.9)
    assert curve.relative_time == (4, 1.5, 0.5)
    assert kernels.to_mapping()["name"] == "own"


@pytest.mark.parametrize(
    ("old", "new", "key", "rule"),
    [
        ('task = "digits"\n', "", "task", "is missing"),
        ('"forward"', '"backward"', "passes", "must be one of forward, training"),
        ("layers.dense", "layers.attention", "layers.attention", "unknown key"),
        ("layers.dense", "layers", "layers.source", "unknown key"),
        ("source", "sauce", "layers.dense.sauce", "unknown key; did you mean source?"),
        ('"measured: somewhere"', '""', "layers.dense.source", "must be one line"),
        ('"%"', '"times"', "layers.dense.zeros.unit", "'times' is not one of %, fraction"),
        ('"times"', '"s"', "layers.dense.relative_time.unit", "'s' is not one of times"),
        ("[0, 50, 90]", "[0, 90, 50]", "layers.dense.zeros.values", "must ascend"),
        ("[0, 50, 90]", "[10, 50, 90]", "layers.dense.zeros.values", "must begin at 0"),
        ("[0, 50, 90]", "[0, 50, 101]", "layers.dense.zeros.values", "must begin at 0 and end"),
        ("[0, 50, 90]", "[0]", "layers.dense.zeros.values", "a list of 2 to 1000"),
        ("[0, 50, 90]", "7", "layers.dense.zeros.values", "a list of 2 to 1000"),
        ("50", '"50"', "layers.dense.zeros.values[1]", "must be a finite number"),
        ("50", "true", "layers.dense.zeros.values[1]", "must be a finite number"),
        ("50", "nan", "layers.dense.zeros.values[1]", "must be a finite number"),
        ("[4, 1.5, 0.5]", "[4, 1.5]", "layers.dense.relative_time.values", "one for each of the 3"),
        ("[4,", "[0.9,", "layers.dense.relative_time.values", "must begin with 1 or more"),
        ("0.5]", "0]", "layers.dense.relative_time.values", "must be above zero"),
    ],
)
def test_malformed_kernels(tmp_path: Path, old: str, new: str, key: str, rule: str) -> None:
    assert old in GOOD
    path = tmp_path / "own.toml"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(ProfileError) as caught:
        load_kernels(str(path))
    assert (caught.value.file, caught.value.key) == (str(path), key)
    assert rule in caught.value.rule
