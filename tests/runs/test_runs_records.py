"""The lines of a record: written, read back, and named where they are wrong."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.telemetry import Event, Json, Span
from runs import records
from runs.errors import RunFolderError
from runs.folder import RunFolder
from runs.loading import load_run

Config = dict[str, object]


def test_records_survive_values_json_does_not_know() -> None:
    item = Event("odd", 1, None, 2.0, {"a": np.float32(0.5), "b": float("nan")})  # type: ignore[dict-item]
    assert records.decode(records.encode([item])) == Event(
        "odd", 1, None, 2.0, {"a": 0.5, "b": None}
    )


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("{", "not JSON"),
        ("[]", "must be a JSON object"),
        ('{"schema": 2}', "schema must be 1"),
        ('{"schema": 1, "round": "x"}', "round must be a whole number"),
        ('{"schema": 1, "round": 1, "client": "x"}', "client must be"),
        ('{"schema": 1, "round": 1, "type": "spam"}', "type must be span or event"),
        ('{"schema": 1, "round": 1, "type": "event", "kind": "k"}', "time_s must be a number"),
        ('{"schema": 1, "round": 1, "type": "event", "time_s": 1}', "kind must be text"),
        (
            '{"schema": 1, "round": 1, "type": "span", "phase": "p", "start_s": 2, "end_s": 1}',
            "end_s must not lie before start_s",
        ),
        (
            '{"schema": 1, "round": 1, "type": "span", "phase": "p", "start_s": 1, "end_s": 1}',
            "bytes_up and bytes_down",
        ),
    ],
)
def test_a_bad_line_is_named_with_file_line_and_rule(
    tmp_path: Path, config: Config, line: str, rule: str
) -> None:
    folder = RunFolder.create(tmp_path / "r", config)
    folder.record(Event("run_started", 0, None, 0.0))
    folder.close("finished")
    with (folder.path / "events.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(RunFolderError, match=rf"events\.jsonl, line 3: .*{rule}"):
        load_run(folder.path)


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [("config.toml", b"a = ", "must be TOML"), ("events.jsonl", b"\xff\n", "UTF-8")],
)
def test_a_bad_file_is_named(
    tmp_path: Path, config: Config, name: str, content: bytes, rule: str
) -> None:
    folder = RunFolder.create(tmp_path / "r", config)
    folder.close("finished")
    (folder.path / name).write_bytes(content)
    with pytest.raises(RunFolderError, match=rf"{name}: .*{rule}"):
        load_run(folder.path)


finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9)


@settings(max_examples=50)
@given(phase=st.text(), start=finite, lasts=st.floats(0, 1e6), up=st.integers(0, 2**60))
def test_a_span_survives_its_line(phase: str, start: float, lasts: float, up: int) -> None:
    span = Span(phase, 3, None, start, start + lasts, up, 0, {"n": [1, {"x": None}]})
    line = records.encode([span])
    assert line.count("\n") == 1
    assert records.decode(line) == span


NUMBERS = st.floats() | st.integers() | st.booleans() | st.none()
NOTES = st.dictionaries(st.text(), NUMBERS | st.text() | st.lists(NUMBERS, max_size=2), max_size=4)


@given(notes=NOTES, at=st.floats())
def test_a_line_made_by_hand_is_the_one_json_makes(notes: dict[str, Json], at: float) -> None:
    event = Event("odd", 3, None, at, notes)
    plain = {"kind": "odd", "round": 3, "client": None, "time_s": at, "notes": notes}
    expected = records.plain({"schema": 1, "type": "event", **plain})
    assert json.loads(records.encode([event])) == expected


def test_spans_wait_for_the_next_event_and_are_then_in_order(
    tmp_path: Path, config: Config
) -> None:
    folder = RunFolder.create(tmp_path / "run", config)
    events = tmp_path / "run" / "events.jsonl"
    folder.record(Span("fit", 1, 0, 0.0, 1.0))
    assert events.read_text() == ""
    folder.record(Event("client_lost", 1, 0, 1.5))
    assert [json.loads(line)["type"] for line in events.read_text().splitlines()] == [
        "span",
        "event",
    ]
    for instant in range(1000):
        folder.record(Span("fit", 1, 0, float(instant), instant + 1.0))
    assert len(events.read_text().splitlines()) > 500  # held no longer than 64 KiB last
    folder.close("interrupted")
    assert len(events.read_text().splitlines()) == 1003
