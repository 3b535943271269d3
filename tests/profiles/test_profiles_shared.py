"""Shared links in fleets: what is read, what is refused."""

from pathlib import Path

import pytest

from profiles import ProfileError, fleet_from_mapping, load_fleet, show

FLEET = """title = "Flat"
[[members]]
count = 4
device = "pixel4"
network = "fixed-world"
"""
LINK = """[[shared]]
name = "kitchen"
members = [2, 0]
down = { value = 50, unit = "Mbit/s", source = "assumed: the flat's line" }
up = { value = 10, unit = "Mbit/s", source = "assumed: the flat's line" }
"""


def written(folder: Path, text: str) -> str:
    path = folder / "flat.toml"
    path.write_text(text)
    return str(path)


def test_a_shared_link_is_read_shown_and_written_back(tmp_path: Path) -> None:
    fleet = load_fleet(written(tmp_path, FLEET + LINK + LINK.replace("kitchen", "street")))
    kitchen, street = fleet.shared
    assert (kitchen.name, kitchen.members, street.name) == ("kitchen", (0, 2), "street")
    assert (kitchen.down_bytes_per_s, kitchen.up_bytes_per_s) == (6.25e6, 1.25e6)
    assert fleet_from_mapping(fleet.to_mapping(), "x") == fleet
    assert "2 share kitchen: 50 Mbit/s down, 10 Mbit/s up" in show(fleet)


def test_all_members_may_share(tmp_path: Path) -> None:
    text = FLEET + LINK.replace("[2, 0]", '"all"')
    assert load_fleet(written(tmp_path, text)).shared[0].members == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("[2, 0]", "[2, 4]", "shared[0].members: must be numbers from 0 to 3, not 4"),
        ("[2, 0]", "[-1]", "must be numbers from 0 to 3, not -1"),
        ("[2, 0]", "[true]", "must be numbers"),
        ("[2, 0]", "[1.5]", "must be numbers"),
        ("[2, 0]", "[1, 1]", "names a client twice"),
        ("[2, 0]", "[]", "must be a list of clients"),
        ("[2, 0]", '"some"', "must be a list of clients"),
        ("members = [2, 0]\n", "", "must be a list of clients"),
        ('name = "kitchen"\n', "", "shared[0].name: is missing"),
        ("Mbit/s", "MB/s", "shared[0].down.unit"),
        ("up = {", "upp = {", "shared[0].upp: unknown key"),
        ("value = 50", "value = 0", "above zero"),
    ],
)
def test_impossible_shared_links_name_file_key_and_rule(
    tmp_path: Path, old: str, new: str, rule: str
) -> None:
    with pytest.raises(ProfileError, match=r"flat.toml: shared") as refused:
        load_fleet(written(tmp_path, FLEET + LINK.replace(old, new)))
    assert rule in str(refused.value)


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="another shared link is named 'kitchen'"):
        load_fleet(written(tmp_path, FLEET + LINK + LINK))
