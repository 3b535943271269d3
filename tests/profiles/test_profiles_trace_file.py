"""The straggler trace: what is written is read back, what is wrong is refused by line and rule."""

import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.errors import ProfileError
from profiles.formats.source import Source
from profiles.trace import (
    DeviceTrace,
    Dropout,
    Intervals,
    Opportunities,
    RoundStart,
    Steps,
    TraceError,
    TraceFile,
)
from profiles.trace_reading import parse_trace, read_trace
from profiles.trace_writing import PHASES, TraceWriter, events_of, write_trace

amounts = st.floats(0, 1e9)
END_S = st.floats(1.0, 1e6)


@st.composite
def rising(draw: st.DrawFn, end_s: float) -> list[float]:
    return sorted(draw(st.sets(st.floats(0, end_s * 0.99), max_size=6)))


@st.composite
def stepped(draw: st.DrawFn, end_s: float) -> Steps:
    times = (0.0, *(at for at in draw(rising(end_s)) if at > 0))
    values = draw(st.lists(amounts, min_size=len(times), max_size=len(times)))
    return Steps(times, tuple(values), end_s)


@st.composite
def opportunities(draw: st.DrawFn, end_s: float) -> Opportunities:
    most = int(end_s * 1000) - 1
    times = draw(st.lists(st.integers(0, most), min_size=1, max_size=30))
    return Opportunities(tuple(sorted(times)) * 1, end_s)


@st.composite
def devices(draw: st.DrawFn, name: str) -> DeviceTrace:
    end_s = draw(END_S)
    rate = st.none() | stepped(end_s) | opportunities(end_s)
    steps = st.none() | stepped(end_s)
    edges = draw(rising(end_s))
    spans = tuple(zip(edges[::2], edges[1::2], strict=False))
    marks = [(at, draw(st.integers(0, 99))) for at in draw(rising(end_s))]
    return DeviceTrace(
        name,
        end_s,
        draw(rate),
        draw(rate),
        draw(steps),
        draw(steps),
        draw(steps),
        draw(st.sampled_from([None, Intervals(spans, end_s)])),
        tuple(RoundStart(*mark) for mark in marks),
        tuple(Dropout(*mark, draw(st.sampled_from(PHASES))) for mark in marks),
    )


files = st.builds(
    TraceFile,
    st.text(max_size=20),
    st.lists(st.text(max_size=20), max_size=3).map(tuple),
    st.sets(st.text(min_size=1, max_size=5), min_size=1, max_size=3).flatmap(
        lambda names: st.tuples(*(devices(name) for name in sorted(names)))
    ),
)


def written(trace: TraceFile, order: int = 0) -> bytes:
    stream = io.StringIO()
    writer = TraceWriter(stream, trace.title, trace.notes)
    events = [(d.device, *event) for d in trace.devices for event in events_of(d)]
    if order:  # as a run would: by time, all devices mixed
        events.sort(key=lambda event: event[1])
    for device, at_s, what, value in events:
        writer.event(device, at_s, what, value)
    return stream.getvalue().encode("utf-8", "surrogatepass")


@given(files, st.booleans())
@settings(max_examples=100)
def test_what_is_written_is_read_back(trace: TraceFile, by_time: bool) -> None:
    read = parse_trace(Source("x", written(trace, by_time)))
    assert read.title == trace.title
    assert read.notes == trace.notes
    assert sorted(read.devices, key=lambda d: d.device) == list(trace.devices)


LONG = TraceFile(
    "all there is",
    ("synthetic",),
    (
        DeviceTrace(
            "a",
            10.0,
            up=Opportunities(tuple(range(2000)), 10.0),
            down=Steps((0.0, 0.1), (1e6, 1 / 3), 10.0),
            available=Intervals(((0.5, 3.0), (4.0, 10.0)), 10.0),
            rounds=(RoundStart(0.25, 1),),
            dropouts=(Dropout(0.75, 1, "upload"),),
        ),
    ),
)


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_is_written_whole_and_never_over_another(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "a.trace"
    write_trace(path, LONG)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert read_trace(path) == LONG
    with pytest.raises(ProfileError, match="exists already"):
        write_trace(path, LONG)
    with pytest.raises(ProfileError, match="cannot be written"):
        write_trace(tmp_path / "no" / "such", LONG)
    assert [p.name for p in tmp_path.iterdir()] == ["a.trace"]


HEAD = '{"format":"straggler-trace","schema":1,"title":"t"}\n'
REFUSED = [
    ("", r"\(file\): is empty"),
    ("[]\n", "line 1: is no straggler trace"),
    ('{"format":"straggler-trace","schema":2,"title":"t"}\n', "line 1: schema must be 1, not 2"),
    ('{"format":"straggler-trace","schema":1}\n', "line 1: title must be text"),
    ('{"format":"straggler-trace","schema":1,"title":"t","x":1}\n', "unknown key 'x'"),
    (HEAD, r"\(file\): holds no device"),
    (HEAD + '["a",0,"end"]', "line 2: is cut off"),
    (HEAD + '["a",1,"pace",1]\n["a",2,"end"]\n', "'a': pace: begins at 1 s, not at 0"),
    (HEAD + '["a",0,"pace",1]\n', "device 'a' has no end"),
    (HEAD + '["a",0,"pace",1]\n["a",0,"end"]\n', "pace: must end after its last time"),
    (HEAD + '["a",0,"pace",1]\n["a",0,"pace",2]\n["a",9,"end"]\n', "times must increase"),
    (HEAD + '["a",5,"pace",1]\n["a",4,"pace",2]\n', "line 3: times must not decrease"),
    (HEAD + '["a",0,"pase",1]\n', "line 2: unknown kind 'pase'; did you mean pace"),
    (HEAD + '["a",0,"pace",-1]\n', "line 2: must be finite and not negative"),
    (HEAD + '["a",0,"pace",NaN]\n', "line 2: is not JSON: NaN"),
    (HEAD + '["a",0,"pace",1e999]\n', "line 2: must be finite"),
    (HEAD + '["a",0,"pace",true]\n', "line 2: must be a number"),
    (HEAD + '["a",0,"pace"]\n', "line 2: must be a number"),
    (HEAD + '["a",0,"up_bytes_per_s",1e15]\n', "line 2: 8e.09 Mbit/s is more than any link"),
    (HEAD + '["a",1e12,"pace",1]\n', "line 2: 1e.12 s is more than thirty years"),
    (HEAD + '["a",0,"available",1]\n', "line 2: available must be true or false"),
    (HEAD + '["a",0,"round",1.5]\n', "line 2: a round must be a whole number"),
    (HEAD + '["a",0,"dropped",{"round":1}]\n', "line 2: dropped must be"),
    (HEAD + '["a",0,"dropped",{"round":1,"phase":"x"}]\n', "line 2: phase must be one of"),
    (HEAD + '["a",0,"up_opportunities_ms",[5,4]]\n', "line 2: opportunities must begin at"),
    (HEAD + '["a",0,"up_opportunities_ms",[0,"4"]]\n', "line 2: opportunities must be whole"),
    (HEAD + '["a",0,"up_opportunities_ms",[]]\n', "line 2: opportunities must be a list"),
    (HEAD + '["a",0,"end"]\n["a",1,"end"]\n', "line 3: an end comes once"),
    (HEAD + '["a",0]\n', "line 2: must be .device, at_s"),
    (HEAD + '["",0,"end"]\n', "line 2: the device must be text"),
    (HEAD + "{\n", "line 2: is not JSON"),
    (HEAD + "[" * 100_000 + "\n", "line 2: is not JSON"),
    (
        HEAD + '["a",0,"up_opportunities_ms",[0]]\n["a",0,"up_bytes_per_s",1]\n["a",1,"end"]\n',
        "up has both a rate and opportunities",
    ),
    (HEAD + '["a",2,"round",1]\n["a",1,"end"]\n', "must lie within the trace"),
]


@pytest.mark.parametrize(("text", "rule"), REFUSED)
def test_what_is_wrong_is_refused_by_line_and_rule(text: str, rule: str) -> None:
    with pytest.raises(ProfileError, match=rule) as refusal:
        parse_trace(Source("some.trace", text.encode()))
    assert str(refusal.value).startswith("some.trace: ")
    assert "\n" not in str(refusal.value)


def test_a_writer_takes_known_kinds_only() -> None:
    writer = TraceWriter(io.StringIO(), "t")
    with pytest.raises(TraceError, match="unknown kind"):
        writer.event("a", 0.0, "speed", 1.0)
    with pytest.raises(ValueError, match="JSON"):
        writer.event("a", 0.0, "pace", float("nan"))
