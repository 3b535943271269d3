"""Jitter in network profiles: what is read, what is refused."""

from pathlib import Path

import pytest

from profiles import NetworkJitter, ProfileError, load_network, show

PLAIN = """title = "Attic"
down = { value = 20, unit = "Mbit/s", source = "assumed: attic" }
up = { value = 5, unit = "Mbit/s", source = "assumed: attic" }
rtt = { value = 60, unit = "ms", source = "assumed: attic" }
"""
SPREAD = 'jitter = { value = 4, unit = "ms", source = "assumed: attic" }\n'
TIME = 'jitter_correlation = { value = 100, unit = "ms", source = "assumed: attic" }\n'
SHAPE = 'jitter_distribution = "gamma"\n'


def written(folder: Path, text: str) -> str:
    path = folder / "attic.toml"
    path.write_text(text)
    return str(path)


def test_jitter_is_read_shown_and_written_back(tmp_path: Path) -> None:
    network = load_network(written(tmp_path, PLAIN + SPREAD + TIME + SHAPE))
    assert network.jitter == NetworkJitter(0.004, 0.1, "gamma")
    assert network.to_mapping()["jitter_distribution"] == "gamma"
    assert network.to_mapping()["jitter"] == {
        "value": 4,
        "unit": "ms",
        "source": "assumed: attic",
    }
    assert "jitter_correlation" in show(network)


def test_a_network_without_jitter_has_none(tmp_path: Path) -> None:
    network = load_network(written(tmp_path, PLAIN))
    assert network.jitter is None
    assert "jitter_distribution" not in network.to_mapping()


@pytest.mark.parametrize(
    ("extra", "rule"),
    [
        (SPREAD, "jitter_correlation: is missing"),
        (SPREAD + TIME, "jitter_distribution: is missing"),
        (TIME + SHAPE, "jitter: is missing"),
        (SHAPE, "jitter: is missing"),
        (SPREAD + TIME + 'jitter_distribution = "uniform"\n', "must be one of normal, gamma"),
        (SPREAD.replace("4", "9") + TIME + SHAPE.replace("gamma", "normal"), "jitter: a normal"),
        (SPREAD.replace("4", "25") + TIME + SHAPE, "jitter: a gamma delay goes 1.41 × jitter"),
        (SPREAD + TIME.replace("100", "19") + SHAPE, "jitter_correlation: must be at least 5 ×"),
        (SPREAD + TIME.replace("100", "0") + SHAPE, "above zero"),
        (SPREAD.replace("ms", "Mbit/s") + TIME + SHAPE, "jitter.unit"),
        (SPREAD + TIME + "jitter_distribution = 3\n", "must be one line of text"),
    ],
)
def test_impossible_jitters_name_file_key_and_rule(tmp_path: Path, extra: str, rule: str) -> None:
    with pytest.raises(ProfileError, match=r"attic.toml: ") as refused:
        load_network(written(tmp_path, PLAIN + extra))
    assert rule in str(refused.value)
