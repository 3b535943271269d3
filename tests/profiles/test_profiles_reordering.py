"""Reordering in a network profile: what it says, and what is refused."""

from pathlib import Path

import pytest

from profiles import ProfileError, load_network

NETWORK = """
title = "a network"
down = { value = 20, unit = "Mbit/s", source = "made up" }
up = { value = 10, unit = "Mbit/s", source = "made up" }
rtt = { value = 40, unit = "ms", source = "made up" }
"""
SHARE = 'reordering = { value = 2, unit = "%", source = "made up" }\n'
DELAY = 'reordering_delay = { value = 5, unit = "ms", source = "made up" }\n'


def network(folder: Path, more: str) -> str:
    path = folder / "mine.toml"
    path.write_text(NETWORK + more)
    return str(path)


def test_a_network_may_reorder(tmp_path: Path) -> None:
    found = load_network(network(tmp_path, SHARE + DELAY))
    assert found.reordering is not None
    assert (found.reordering.share, found.reordering.delay_s) == (0.02, 0.005)
    assert found.to_mapping()["reordering_delay"] == {
        "value": 5,
        "unit": "ms",
        "source": "made up",
    }


def test_a_network_need_not(tmp_path: Path) -> None:
    found = load_network(network(tmp_path, ""))
    assert found.reordering is None
    assert "reordering" not in found.to_mapping()


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        (SHARE, "reordering_delay: is missing"),
        (DELAY, "reordering: is missing"),
        (SHARE.replace("= 2", "= 100") + DELAY, "reordering.value: must be below 1"),
        (SHARE.replace("= 2", "= -1") + DELAY, "reordering.value: must be"),
        (SHARE.replace("%", "ms") + DELAY, "reordering.unit: "),
        (SHARE + DELAY.replace("= 5", "= 0"), "reordering_delay.value: must be"),
    ],
)
def test_bad_reordering_is_refused(tmp_path: Path, more: str, rule: str) -> None:
    with pytest.raises(ProfileError, match=rule):
        load_network(network(tmp_path, more))
