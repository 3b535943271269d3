"""Every way to get a profile wrong ends in one line: file, key, rule."""

from collections.abc import Callable
from pathlib import Path

import pytest

from profiles import ProfileError, load_device, load_fleet, load_network, load_profile

ROOT = Path(__file__).resolve().parents[2] / "profiles"
DEVICE = (ROOT / "devices" / "pixel4.toml").read_text(encoding="utf-8")
NETWORK = """title = "A link"
down = { value = 20, unit = "Mbit/s", source = "a table" }
up = { value = 5, unit = "Mbit/s", source = "a table" }
rtt = { value = 30, unit = "ms", source = "a table" }
"""
FLEET = """title = "A fleet"
[[members]]
count = 2
device = "pixel4"
network = "mobile-world"
"""
COORDINATOR = '[coordinator]\ndevice = "server-x86"\nnetwork = "lan-1g"\n'

Loader = Callable[[str], object]


def refusal(load: Loader, path: Path, content: str | bytes) -> ProfileError:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ProfileError) as caught:
        load(str(path))
    assert caught.value.file == str(path)
    assert str(caught.value) == f"{path}: {caught.value.key}: {caught.value.rule}"
    assert str(caught.value).isprintable()
    return caught.value


NETWORK_ROWS = [
    ("down = ", "dwon = ", "dwon", "unknown key; did you mean down?"),
    ('title = "A link"\n', "", "title", "is missing"),
    ('"A link"', "7", "title", "must be one line of text"),
    ('"A link"', '" "', "title", "must be one line of text"),
    ('"A link"', '"""a\nb"""', "title", "must be one line of text"),
    ('rtt = { value = 30, unit = "ms", source = "a table" }\n', "", "rtt", "is missing"),
    ('{ value = 30, unit = "ms", source = "a table" }', "30", "rtt", "must be a table { value"),
    ("value = 30, ", "", "rtt.value", "is missing"),
    ("value = 30", 'value = "30"', "rtt.value", "must be a number"),
    ("value = 30", "value = true", "rtt.value", "must be a number"),
    ("value = 30", "value = 0", "rtt.value", "must be above zero, not 0"),
    ("value = 30", "value = -1.5", "rtt.value", "must be above zero, not -1.5"),
    ("value = 30", "value = 0x" + "f" * 9000, "rtt.value", "is out of range"),
    ("value = 30", "value = nan", "rtt.value", "must be finite, not nan"),
    ("value = 30", "value = inf", "rtt.value", "must be finite, not inf"),
    ("value = 30", "value = -inf", "rtt.value", "must be finite, not -inf"),
    ("value = 30", "value = 1e-320", "rtt.value", "out of range"),
    (' unit = "ms",', "", "rtt.unit", "is missing"),
    ('"ms"', '"Mbit/s"', "rtt.unit", "'Mbit/s' is not one of s, ms, us"),
    ('"ms"', '"minutes"', "rtt.unit", "'minutes' is not one of"),
    ('"ms"', "3", "rtt.unit", "must be text"),
    ('20, unit = "Mbit/s"', '20, unit = "MB/s"', "down.unit", "'MB/s' is not one of kbit/s"),
    ('"ms", source = "a table"', '"ms"', "rtt.source", "is missing"),
    ('"ms", source = "a table"', '"ms", source = ""', "rtt.source", "where the figure is from"),
    ('"ms", source = "a table"', '"ms", source = "assumed:"', "rtt.source", "must say how or why"),
    ('"ms", source = "a table"', '"ms", source = "t", page = 3', "rtt.page", "unknown key"),
    ('title = "A link"', 'title = "A link"\n"a\\u001b[2Jb" = 1', "a?[2Jb", "unknown key"),
    ("rtt = ", "up = ", "(file)", "is not valid TOML: Cannot overwrite a value"),
    ("rtt = ", "rtt ", "(file)", "is not valid TOML"),
    ("value = 30", "value = " + "9" * 5000, "(file)", "is not valid TOML"),
    ("value = 30", "value = " + "[" * 5000, "(file)", "is not valid TOML"),
]


@pytest.mark.parametrize(("old", "new", "key", "rule"), NETWORK_ROWS)
def test_malformed_networks(tmp_path: Path, old: str, new: str, key: str, rule: str) -> None:
    assert old in NETWORK
    error = refusal(load_network, tmp_path / "net.toml", NETWORK.replace(old, new, 1))
    assert error.key == key
    assert rule in error.rule


DEVICE_ROWS = [
    ("training_rate", "speed", "speed", "unknown key"),
    ("anchor =", "ancor =", "ancor", "unknown key; did you mean anchor?"),
    ("GMAC/s", "GFLOPS", "training_rate.unit", "peak operations, not measured work"),
    ("GMAC/s", "TOPS", "training_rate.unit", "peak operations, not measured work"),
    ("GiB", "GB", "memory.unit", "'GB' is not one of MiB, GiB"),
    ("GB/s", "Gbit/s", "mask_rate.unit", "'Gbit/s' is not one of kB/s"),
]


@pytest.mark.parametrize(("old", "new", "key", "rule"), DEVICE_ROWS)
def test_malformed_devices(tmp_path: Path, old: str, new: str, key: str, rule: str) -> None:
    assert old in DEVICE
    error = refusal(load_device, tmp_path / "dev.toml", DEVICE.replace(old, new, 1))
    assert error.key == key
    assert rule in error.rule


def test_no_figure_of_a_device_may_be_left_out(tmp_path: Path) -> None:
    lines = [line for line in DEVICE.splitlines() if line]
    assert len(lines) == 12
    for line in lines:
        content = "\n".join(other for other in lines if other is not line)
        error = refusal(load_device, tmp_path / "dev.toml", content)
        assert (error.key, error.rule) == (line.partition(" =")[0], "is missing")


FLEET_ROWS = [
    (FLEET.replace("count = 2", "count = 0"), "members[0].count", "must be from 1 to"),
    (FLEET.replace("count = 2", "count = -3"), "members[0].count", "must be from 1 to"),
    (FLEET.replace("count = 2", "count = 2.0"), "members[0].count", "must be a whole number"),
    (FLEET.replace("count = 2", "count = true"), "members[0].count", "must be a whole number"),
    (FLEET.replace("count = 2", "count = 0x" + "f" * 9000), "members[0].count", "must be from 1"),
    (FLEET.replace("count = 2", "count = 100001"), "members[0].count", "from 1 to 100000"),
    (FLEET.replace("count = 2\n", ""), "members[0].count", "is missing"),
    (FLEET.replace("pixel4", "pixl4"), "members[0].device", "'pixl4'; did you mean pixel4"),
    (FLEET.replace("pixel4", "abacus"), "members[0].device", "no shipped device is named 'abacus'"),
    (FLEET.replace('"pixel4"', "4"), "members[0].device", "must be one line of text"),
    (FLEET.replace("mobile-world", "mobil-world"), "members[0].network", "mean mobile-world"),
    (FLEET.replace("network", "net"), "members[0].net", "unknown key; did you mean network"),
    (FLEET + "speed = 1\n", "members[0].speed", "unknown key"),
    ('title = "t"\n', "members", "is missing"),
    ('title = "t"\nmembers = []\n', "members", "must not be empty"),
    ('title = "t"\nmembers = 3\n', "members", "must be an array of tables"),
    ('title = "t"\nmembers = [1]\n', "members[0]", "must be a table"),
    (FLEET.replace("title", "titel"), "titel", "unknown key; did you mean title?"),
    (FLEET + FLEET.partition("\n")[2], "members[1]", "repeats members[0]: raise its count"),
    (
        FLEET.replace("count = 2", "count = 99999")
        + '[[members]]\ncount = 2\ndevice = "pixel3"\nnetwork = "umts"\n',
        "members",
        "at most 100000 clients",
    ),
    (FLEET + COORDINATOR.replace("server-x86", "sever"), "coordinator.device", "mean server-x86"),
    (FLEET + COORDINATOR + "count = 1\n", "coordinator.count", "unknown key"),
    ("coordinator = 1\n" + FLEET, "coordinator", "must be a table"),
]


@pytest.mark.parametrize(("content", "key", "rule"), FLEET_ROWS)
def test_malformed_fleets(tmp_path: Path, content: str, key: str, rule: str) -> None:
    error = refusal(load_fleet, tmp_path / "fleet.toml", content)
    assert error.key == key
    assert rule in error.rule


@pytest.mark.parametrize("load", [load_device, load_network, load_fleet, load_profile])
def test_files_that_cannot_be_read(tmp_path: Path, load: Loader) -> None:
    rows: list[tuple[bytes, str]] = [
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"#" * (1 << 20) + b"#", "is larger than 1048576 bytes"),
        (b"title", "is not valid TOML"),
    ]
    for content, rule in rows:
        error = refusal(load, tmp_path / "bad.toml", content)
        assert error.key == "(file)"
        assert rule in error.rule
    with pytest.raises(ProfileError, match=r"nowhere\.toml: \(file\): does not exist"):
        load(str(tmp_path / "nowhere.toml"))
    with pytest.raises(ProfileError, match=r"\(file\): cannot be read: Is a directory"):
        load(f"{tmp_path}/")


def test_a_file_that_is_no_profile(tmp_path: Path) -> None:
    error = refusal(load_profile, tmp_path / "other.toml", 'name = "something else"')
    assert "is no profile" in error.rule


@pytest.mark.parametrize(
    ("load", "name", "rule"),
    [
        (load_device, "pixel-4", "no shipped device is named 'pixel-4'; did you mean pixel4"),
        (load_network, "5g", "no shipped network is named '5g'"),
        (load_fleet, "mixed-30", "did you mean mixed-20"),
        (load_profile, "uniform", "did you mean uniform-20?"),
    ],
)
def test_unknown_names_are_answered_with_known_ones(load: Loader, name: str, rule: str) -> None:
    with pytest.raises(ProfileError) as caught:
        load(name)
    assert caught.value.file == name
    assert rule in caught.value.rule


def test_an_error_within_a_referenced_file_names_that_file(tmp_path: Path) -> None:
    (tmp_path / "slow.toml").write_text(NETWORK.replace("20", "-20"), encoding="utf-8")
    path = tmp_path / "fleet.toml"
    path.write_text(FLEET.replace("mobile-world", "slow.toml"), encoding="utf-8")
    with pytest.raises(ProfileError) as caught:
        load_fleet(str(path))
    assert (caught.value.file, caught.value.key) == (str(tmp_path / "slow.toml"), "down.value")


def test_two_devices_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pixel4.toml").write_text(DEVICE.replace("Pixel 4", "Pixel four"), "utf-8")
    content = FLEET + FLEET.partition("\n")[2].replace('"pixel4"', '"pixel4.toml"')
    error = refusal(load_fleet, tmp_path / "fleet.toml", content)
    assert error.key == "members[1].device"
    assert error.rule == "another device of this fleet is named 'pixel4' as well"
