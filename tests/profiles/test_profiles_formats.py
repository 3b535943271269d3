"""Readers of other people's traces: what each makes of a small file, and what each refuses."""

import gzip
import json
import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.errors import ProfileError
from profiles.formats import FORMATS, import_trace, source
from profiles.formats.options import Direction, ImportOptions
from profiles.formats.pickled import plain_values
from profiles.formats.source import Source
from profiles.trace import DeviceTrace, Intervals, Opportunities, Steps, TraceFile

OPTIONS = ImportOptions(reference_ms=100.0, duration_s=60.0)
MBIT = 1e6 / 8
GNET = "Timestamp,Speed,DL_bitrate,UL_bitrate,PINGAVG\n"
FLASH = {"u": {"guid": "g", "model": "m", "messages": ""}}


def flash(*messages: str) -> str:
    lines = [f"2020-01-31 13:40:{message}" for message in messages]
    return json.dumps({"u": {"guid": "g", "model": "m", "messages": "\n".join(lines)}})


def read(tmp_path: Path, format_: str, content: str | bytes) -> TraceFile:
    path = tmp_path / "some.file"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return import_trace(path, format_, OPTIONS)


def available(end_s: float, *spans: tuple[float, float]) -> DeviceTrace:
    return DeviceTrace("u", end_s, available=Intervals(spans, end_s))


MS_10 = Steps((0.0,), (0.01,), 3.0)
EXAMPLES: list[tuple[str, Any, DeviceTrace]] = [
    ("mahimahi", "0\n0\n7\n", DeviceTrace("0", 0.007, down=Opportunities((0, 0, 7), 0.007))),
    (
        "time-rate",
        "10.0\t8\n10.5 4.0\n\n12 4\n",
        DeviceTrace("0", 3.5, down=Steps((0.0, 0.5), (8 * MBIT, 4 * MBIT), 3.5)),
    ),
    (
        "sabre",
        '[{"duration_ms":1000,"bandwidth_kbps":8,"latency_ms":20},'
        '{"duration_ms":2000,"bandwidth_kbps":0,"latency_ms":20}]',
        DeviceTrace("0", 3.0, None, Steps((0.0, 1.0), (1000.0, 0.0), 3.0), MS_10, MS_10),
    ),
    (
        "gnettrack",
        GNET
        + "2019.12.16_13.40.04,1,-,8,20\n2019.12.16_13.40.05,1,16,8,-\n"
        + "2019.12.16_13.40.05,1,32,8,-\n2019.12.16_13.40.07,1,8,-,-\n",
        DeviceTrace(
            "0",
            3.0,
            Steps((0.0,), (1000.0,), 3.0),
            Steps((0.0, 2.0), (3000.0, 1000.0), 3.0),
            MS_10,
            MS_10,
        ),
    ),
    (
        "rate-csv",
        "8,Mbits/sec\n0,Mbits/sec\n",
        DeviceTrace("0", 2.0, down=Steps((0.0, 1.0), (1e6, 0.0), 2.0)),
    ),
    (
        "fedscale-capacity",
        pickle.dumps({7: {"computation": 50.0, "communication": 8000}}),
        DeviceTrace(
            "7",
            60.0,
            Steps((0.0,), (1e6,), 60.0),
            Steps((0.0,), (1e6,), 60.0),
            pace=Steps((0.0,), (100 / 150,), 60.0),
        ),
    ),
    (
        "fedscale-behaviour",
        pickle.dumps(
            {
                "u": {
                    "duration": 9,
                    "active": [1, 5, 6, 20],
                    "inactive": [4, 6, 30, 40],
                    "finish_time": 10,
                    "model": "CPH1801",
                }
            },
            protocol=2,
        ),
        available(10.0, (1.0, 4.0), (5.0, 10.0)),
    ),
    (
        "flash-states",
        flash(
            "00\twifi",
            "05\tbattery_charged_on",
            "10\tscreen_lock",
            "12\t55%",
            "20\tscreen_on",
            "21\tscreen_unlock",
            "30\tscreen_lock",
            "35\t4G",
            "40\tWIFI",
            "50\tscreen_off",
        ),
        available(50.0, (10.0, 21.0), (30.0, 35.0), (40.0, 50.0)),
    ),
    ("toggles", "u: on, [5, 8, 10]\n", available(10.0, (0.0, 5.0), (8.0, 10.0))),
    ("toggles", "u: off, [5, 8]\n", available(8.0, (5.0, 8.0))),
]


@pytest.mark.parametrize(("format_", "content", "expected"), EXAMPLES)
@pytest.mark.parametrize("packed", [False, True])
def test_a_small_file_is_read_as_it_is_meant(
    tmp_path: Path, format_: str, content: str | bytes, expected: DeviceTrace, packed: bool
) -> None:
    raw = content.encode() if isinstance(content, str) else content
    assert read(tmp_path, format_, gzip.compress(raw) if packed else raw).devices == (expected,)


def test_every_format_has_its_example() -> None:
    assert {name for name, _, _ in EXAMPLES} | {"flash-speeds"} == set(FORMATS)


REFUSED: list[tuple[str, Any, str]] = [
    ("mahimahi", "", r"\(file\): is empty"),
    ("mahimahi", "\n \n", r"\(file\): is empty"),
    ("mahimahi", "0\n5\n4\n", "line 3: times must not decrease: 4 after 5"),
    ("mahimahi", "0\n-5\n", "line 2: '-5' is not a whole number"),
    ("mahimahi", "1.5\n", "line 1: '1.5' is not a whole number"),
    ("mahimahi", "0\n0\n", "lasts for no time"),
    ("mahimahi", "1\n" + "9" * 30 + "\n", "line 2: 1e.27 s is more than thirty years"),
    ("mahimahi", "1\n" + "9" * 5000, "line 2: '9+' is not a whole number"),
    ("mahimahi", b"1\n\xff\n", "line 2: is not UTF-8"),
    ("mahimahi", "1\n٣\n", "line 2: '٣' is not a whole number"),
    ("mahimahi", gzip.compress(b"1\n2\n", mtime=0)[:-6], "is not whole gzip"),
    ("time-rate", "0 1\n0 2\n", "line 2: times must increase"),
    ("time-rate", "0 1\n1 nan\n", "line 2: 'nan' is not a number"),
    ("time-rate", "0 1\n1 inf\n", "line 2: 'inf' is not a number"),
    ("time-rate", "0 1\n1 1_0\n", "line 2: '1_0' is not a number"),
    ("time-rate", "0 1\n1\n", "line 2: must be two numbers"),
    ("time-rate", "0 -1\n", "line 1: must be finite and not negative"),
    ("time-rate", "0 1e9\n", "line 1: 1e.09 Mbit/s is more than any link has"),
    ("time-rate", "0 1e400\n", "line 1: must be finite"),
    ("sabre", "[]", "must be a list of periods"),
    ("sabre", "[{}]", r"\[0\]: must be a table"),
    ("sabre", '[{"duration_ms": 1}]', r"\[0\]: bandwidth_kbps is missing"),
    (
        "sabre",
        '[{"duration_ms":0,"bandwidth_kbps":1,"latency_ms":1}]',
        r"\[0\].duration_ms: must be above 0",
    ),
    (
        "sabre",
        '[{"duration_ms":1,"bandwidth_kbps":NaN,"latency_ms":1}]',
        "is not JSON: NaN is no number",
    ),
    (
        "sabre",
        '[{"duration_ms":1,"bandwidth_kbps":"1","latency_ms":1}]',
        r"\[0\].bandwidth_kbps: must be a number",
    ),
    ("sabre", '[{"duration_ms":1,\n', "line 2: is not JSON"),
    ("sabre", "[" * 100_000, "is not JSON"),
    ("gnettrack", "a,b\n", "line 1: has no column Timestamp"),
    ("gnettrack", GNET, "has no row by which"),
    ("gnettrack", GNET + "2019.12.16_13.40.04,1,-,8,20\n", "has no row by which"),
    ("gnettrack", GNET + "1,2\n", "line 2: has 2 cells, not 5"),
    ("gnettrack", GNET + "now,1,1,1,1\n", "line 2: Timestamp 'now' is not like"),
    ("gnettrack", GNET + "2019.12.16_13.40.04,1,x,1,1\n", "line 2: 'x' is not a number"),
    (
        "gnettrack",
        GNET + "2019.12.16_13.40.04,1,1,1,1\n2019.12.16_13.40.03,1,1,1,1\n",
        "line 3: times must not decrease",
    ),
    ("rate-csv", "3,Mbits/sec\n3,Kbits/sec\n", "line 2: units are mixed"),
    ("rate-csv", "3,MB\n", "line 1: must be a number, a comma and one of"),
    ("rate-csv", "3\n", "line 1: must be a number, a comma and one of"),
    ("fedscale-capacity", b"", "is empty"),
    ("fedscale-capacity", b"cos\nsystem\n(S'id'\ntR.", "byte 0: .* refused: GLOBAL"),
    ("fedscale-capacity", pickle.dumps(Path), "refused: (STACK_)?GLOBAL"),
    ("fedscale-capacity", pickle.dumps({1: {1, 2}}), "refused: EMPTY_SET"),
    ("fedscale-capacity", pickle.dumps({1: b"x"}), "refused: SHORT_BINBYTES"),
    ("fedscale-capacity", pickle.dumps({1.5: 1}), "refused: the keys of a table"),
    ("fedscale-capacity", pickle.dumps({1: {}})[:-3], "is not a whole pickle"),
    ("fedscale-capacity", b"hello", "is not a whole pickle"),
    ("fedscale-capacity", b"\x80\x04.", "is not a whole pickle"),
    ("fedscale-capacity", b"N(b.", "refused: BUILD"),
    ("fedscale-capacity", b"(.", "refused: it ends within a list"),
    ("fedscale-capacity", b"]r\xff\xff\xff\xff.", "must be a table"),
    ("fedscale-capacity", pickle.dumps([1]), "must be a table"),
    ("fedscale-capacity", pickle.dumps({1: {"computation": 1}}), "communication is missing"),
    (
        "fedscale-capacity",
        pickle.dumps({1: {"computation": 0, "communication": 1}}),
        "client 1: computation and communication must be above 0",
    ),
    (
        "fedscale-behaviour",
        pickle.dumps({1: {"active": [1], "inactive": [], "finish_time": 5}}),
        "client 1: 1 times in active, 0 in inactive",
    ),
    (
        "fedscale-behaviour",
        pickle.dumps({1: {"active": [1, 2], "inactive": [3, 4], "finish_time": 5}}),
        "client 1: times must not decrease: 2 to 4 s",
    ),
    (
        "fedscale-behaviour",
        pickle.dumps({1: {"active": 1, "inactive": [3], "finish_time": 5}}),
        "client 1: active: must be a list",
    ),
    ("flash-states", json.dumps(FLASH), "user u: messages must be text"),
    ("flash-states", flash("00\twifi", "01\tflying"), "message 2: .* known state"),
    ("flash-states", flash("00\twifi", "0x\twifi"), "message 2: .* is not like 2020"),
    ("flash-states", flash("05\twifi", "00\twifi"), "message 2: times must not decrease"),
    ("flash-states", flash("05\twifi"), "last for no time"),
    ("flash-speeds", '{"g": {"down_u": 1}}', "device g: down_sigma is missing"),
    (
        "flash-speeds",
        '{"g": {"down_u": 0, "down_sigma": 1, "up_u": 1, "up_sigma": 1}}',
        "down_u: must be above 0",
    ),
    (
        "flash-speeds",
        '{"g": {"down_u": 1, "down_sigma": 1e300, "up_u": 1, "up_sigma": 1}}',
        "more than any link has",
    ),
    ("toggles", "u: maybe, [1]\n", "line 1: must be like"),
    ("toggles", "u: on, []\n", "line 1: '' is not a number"),
    ("toggles", "u: on, [3, 2]\n", "line 1: times must increase"),
    ("toggles", "u: on, [0]\n", "line 1: lasts for no time"),
    ("toggles", "u: on, [1]\nu: on, [1]\n", "line 2: device 'u' comes twice"),
]


@pytest.mark.parametrize(("format_", "content", "rule"), REFUSED)
def test_what_is_wrong_is_refused_by_file_place_and_rule(
    tmp_path: Path, format_: str, content: str | bytes, rule: str
) -> None:
    with pytest.raises(ProfileError, match=rule) as refusal:
        read(tmp_path, format_, content)
    assert str(refusal.value).startswith(str(tmp_path / "some.file"))
    assert "\n" not in str(refusal.value)


def test_gzip_bombs_and_large_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "MAX_BYTES", 1 << 20)
    for content in (b"1\n" * (1 << 20), gzip.compress(b"1\n" * (1 << 20))):
        with pytest.raises(ProfileError, match="holds more than 1 MiB"):
            read(tmp_path, "mahimahi", content)
    with pytest.raises(ProfileError, match="does not exist"):
        import_trace(tmp_path / "none", "mahimahi", OPTIONS)
    with pytest.raises(ProfileError, match="cannot be read"):
        import_trace(tmp_path, "mahimahi", OPTIONS)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.tuples(inner, inner, inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=20,
)


@given(plain, st.integers(0, 5))
@settings(max_examples=150)
def test_plain_values_come_out_of_a_pickle_as_they_went_in(value: object, protocol: int) -> None:
    twice = [value, value]  # so that the memo is used
    assert plain_values(Source("x", pickle.dumps(twice, protocol))) == twice


@given(st.binary(max_size=60))
@settings(max_examples=200)
def test_no_bytes_do_worse_to_the_pickle_reader_than_be_refused(content: bytes) -> None:
    with suppress(ProfileError):
        values = plain_values(Source("x", content))
        assert isinstance(values, None | bool | int | float | str | list | tuple | dict)


@pytest.mark.parametrize("direction", Direction)
def test_a_rate_goes_where_it_is_said_to(tmp_path: Path, direction: Direction) -> None:
    path = tmp_path / "x"
    path.write_text("5\n")
    trace = import_trace(path, "mahimahi", ImportOptions(direction=direction)).devices[0]
    assert (trace.up is None) == (direction == "down")
    assert (trace.down is None) == (direction == "up")


def test_speeds_are_drawn_by_seed_with_mean_and_spread(tmp_path: Path) -> None:
    path = tmp_path / "x"
    table = {"down_u": 8000, "down_sigma": 1000, "up_u": 80, "up_sigma": 0}
    path.write_text(json.dumps({"g": table, "h": table}))
    options = ImportOptions(duration_s=2000.0, step_s=1.0)
    first, other = import_trace(path, "flash-speeds", options).devices
    assert import_trace(path, "flash-speeds", options).devices == (first, other)
    assert first.down != other.down
    assert isinstance(first.down, Steps)
    values = first.down.values
    mean = sum(values) / len(values)
    spread = (sum((v - mean) ** 2 for v in values) / len(values)) ** 0.5
    assert mean == pytest.approx(1e6, rel=0.01)
    assert spread == pytest.approx(125e3, rel=0.06)
    assert first.up == Steps((0.0,), (10_000.0,), 2000.0)
    only = import_trace(path, "flash-speeds", ImportOptions(device="h", speed_unit="kB/s"))
    assert [d.device for d in only.devices] == ["h"]
    assert only.devices[0].up == Steps((0.0,), (80_000.0,), 600.0)
    with pytest.raises(ProfileError, match="has no device 'i'"):
        import_trace(path, "flash-speeds", ImportOptions(device="i"))


def test_what_was_assumed_is_noted(tmp_path: Path) -> None:
    notes = read(tmp_path, *EXAMPLES[5][:2]).notes
    assert "training_factor = 3.0" in notes
    assert "reference_ms = 100.0" in notes
