"""Traces in fleets: what a member plays, and what is refused."""

import io
from pathlib import Path

import pytest

from profiles import ProfileError, fleet_from_mapping, list_profiles, load_fleet
from profiles.catalogue import Kind, list_traces, locate_trace
from profiles.fleet import Fleet
from profiles.trace import DeviceTrace, Intervals, Opportunities, Steps, TraceFile
from profiles.trace_reading import read_trace
from profiles.trace_writing import TraceWriter, events_of, write_trace
from tools.make_traces import TRACES, main

ONE = Steps((0.0,), (1000.0,), 10.0)
TWO = Steps((0.0,), (2000.0,), 20.0)
MANY = TraceFile(
    "many",
    (),
    (
        DeviceTrace("a", 10.0, down=ONE, pace=ONE),
        DeviceTrace("b", 20.0, TWO, TWO, available=Intervals(((1.0, 2.0),), 20.0)),
    ),
)
BURSTS = TraceFile("bursts", (), (DeviceTrace("x", 1.0, down=Opportunities((5,), 1.0)),))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_trace(tmp_path / "many.trace", MANY)
    write_trace(tmp_path / "bursts.trace", BURSTS)
    dead = DeviceTrace("x", 1.0, up=Steps.constant(0.0, 1.0))
    write_trace(tmp_path / "dead.trace", TraceFile("dead", (), (dead,)))
    return tmp_path


def fleet(folder: Path, trace: str, count: int = 3) -> Fleet:
    path = folder / "fleet.toml"
    member = f'count = {count}\ndevice = "pixel4"\nnetwork = "fixed-world"\n'
    path.write_text(f'title = "t"\n[[members]]\n{member}\n[[members]]\n{member}trace = {trace}\n')
    return load_fleet(str(path))


def test_one_file_serves_many_members(folder: Path) -> None:
    members = fleet(
        folder, '{ file = "many.trace", offset_s = 3, stagger_s = 5, scale = 2 }'
    ).members
    assert [m.trace for m in members[:3]] == [None] * 3
    played = [m.trace for m in members[3:] if m.trace is not None]
    assert [(p.offset_s, p.scale, p.at_end, p.down) for p in played] == [
        (3.0, 2.0, "loop", ONE),
        (8.0, 2.0, "loop", TWO),
        (13.0, 2.0, "loop", ONE),
    ]
    assert [p.pace for p in played] == [ONE, None, ONE]
    assert [p.up for p in played] == [None, TWO, None]


def test_parts_come_from_files_of_their_own(folder: Path) -> None:
    chosen = '{ file = "many.trace", device = "b", link_down = "lte-bursts", at_end = "stop" }'
    with pytest.raises(ProfileError, match="lte-bursts has no device 'b'"):
        fleet(folder, chosen)
    members = fleet(folder, '{ link_down = "bursts.trace", pace = "busy-phone" }').members
    trace = members[-1].trace
    assert trace is not None
    assert trace.down == BURSTS.devices[0].down
    assert trace.pace == read_trace(locate_trace("busy-phone", Path())).devices[0].pace
    assert (trace.up, trace.available) == (None, None)


def test_a_fleet_with_traces_is_its_mapping(folder: Path) -> None:
    whole = fleet(folder, '{ file = "many.trace", stagger_s = 5 }')
    mapping = whole.to_mapping()
    assert fleet_from_mapping(mapping, "config.toml") == whole
    (folder / "many.trace").unlink()
    write_trace(folder / "many.trace", BURSTS)
    with pytest.raises(ProfileError, match="digest: the traces are no longer those"):
        fleet_from_mapping(mapping, "config.toml")


@pytest.mark.parametrize(
    ("trace", "rule"),
    [
        ("{}", "trace: must name a trace: file, link_up, link_down, pace, available"),
        ('{ file = "many.trace", speed = 2 }', "trace.speed: unknown key"),
        ('{ file = "nonesuch" }', "trace.file: no shipped trace is named 'nonesuch'"),
        ('{ file = "none.trace" }', "none.trace: .file.: does not exist"),
        ('{ file = "many.trace", device = "c" }', "trace.device: many.trace has no device 'c'"),
        ('{ file = "many.trace", scale = 0 }', "trace.scale: must be finite and from 1e-09"),
        ('{ file = "many.trace", offset_s = nan }', "trace.offset_s: must be finite"),
        ('{ file = "many.trace", offset_s = "1" }', "trace.offset_s: must be a number"),
        ('{ file = "many.trace", at_end = "rest" }', "trace.at_end: 'rest' is not one of loop"),
        ('{ link_up = "bursts.trace" }', "link_up: bursts.trace does not say it of device 'x'"),
        ('{ link_down = "bursts.trace", at_end = "hold" }', "no last value to hold"),
        ('{ file = "dead.trace" }', "trace.file: device 'x' carries nothing at all"),
        ("7", "trace: must be a table"),
    ],
)
def test_what_cannot_be_played_is_refused(folder: Path, trace: str, rule: str) -> None:
    with pytest.raises(ProfileError, match=rule):
        fleet(folder, trace)


def test_shipped_traces_are_right_and_used() -> None:
    assert set(list_traces()) == set(TRACES)
    fleets = [load_fleet(name) for name in list_profiles(Kind.FLEET)]
    assert any(m.trace is not None for each in fleets for m in each.members)
    for name in list_traces():
        assert any("synthetic" in note for note in read_trace(locate_trace(name, Path())).notes)


def test_shipped_traces_are_what_their_script_makes(tmp_path: Path) -> None:
    main(tmp_path)
    for name in list_traces():
        assert read_trace(tmp_path / f"{name}.trace") == read_trace(locate_trace(name, Path()))


def test_a_recording_of_mixed_events_is_played_like_any_other() -> None:
    """What a run writes as it goes along is a file like any other."""
    stream = io.StringIO()
    writer = TraceWriter(stream, "a run")
    for device in MANY.devices:
        for at_s, what, value in events_of(device):
            writer.event(device.device, at_s, what, value)
    assert stream.getvalue().count("\n") == 1 + sum(len(list(events_of(d))) for d in MANY.devices)
