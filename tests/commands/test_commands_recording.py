"""What is recorded of devices that nobody emulates, of drop-outs and of a late host; and that a
device leaves and returns as it was recorded."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from commands.recording import Record, record_of
from commands.replayed import Follower, Gone, HeardTracer, Leaving, Replayed, replayed
from netem.timer import ManualTimer
from profiles import PlayedTrace, load_fleet
from profiles.trace import DeviceTrace, Dropout, Steps
from protocol.telemetry import Event, Json, ListRecorder, Span, Tracer
from runs import records
from runs.config import config_text

FLEET = load_fleet("uniform-20")
DEVICE, NETWORK = FLEET.members[0].device, FLEET.members[0].network
MAC_S = DEVICE.seconds_per_operation["training_mac"]


def recorded(folder: Path, *items: Span | Event, clock: str = "wall", host: str = "here") -> Record:
    config = {"run": {"clock": clock}, "fleet": FLEET.to_mapping(), "host": {"workers": host}}
    (folder / "config.toml").write_text(config_text(config))
    began = Event("run_started", 0, None, 100.0)
    rounds = [Span("round", n, None, 100.0 + 10 * n, 109.0 + 10 * n) for n in (1, 2, 3)]
    lines = [records.encode([item]) for item in (began, *items, *rounds)]
    (folder / "events.jsonl").write_text("".join(lines))
    return record_of(folder)


def fit(round_: int, seconds: float, **notes: float) -> Span:
    start_s = 101.0 + 10 * round_
    work: Json = {"training_mac": 2.0 / MAC_S}
    return Span("fit", round_, 0, start_s, start_s + seconds, notes={"work": work, **notes})


def pace(record: Record) -> Steps:
    found = record.trace.devices[0].pace
    assert found is not None
    return found


def test_a_late_host_made_its_device_slower(tmp_path: Path) -> None:
    record = recorded(tmp_path, fit(1, 2.0, late_s=0.0), fit(2, 2.5, late_s=0.5))
    assert pace(record).values == pytest.approx((1.0, 0.8))
    assert pace(record).at_s == pytest.approx((0.0, 21.0))
    assert [m.round for m in record.trace.devices[0].rounds] == [1, 2, 3]


def test_a_device_that_is_not_emulated_is_as_fast_as_measured(tmp_path: Path) -> None:
    down = Span("download", 1, 0, 110.0, 110.0 + NETWORK.rtt_s + 2.0, bytes_down=8_000_000)
    record = recorded(tmp_path, down, fit(1, 4.0), fit(3, 1.0))
    assert pace(record).values == pytest.approx((0.5, 2.0))
    assert pace(record).at_s[1] == pytest.approx(31.0), "round 2 told nothing: as round 1"
    rate = record.trace.devices[0].down
    assert isinstance(rate, Steps)
    assert rate.values == pytest.approx((4e6,))


def test_a_worker_is_what_it_joined_as(tmp_path: Path) -> None:
    joined = Event("client_joined", 0, 0, 101.0, {"device": "pixel2", "network": "4g-ghent"})
    record = recorded(tmp_path, joined, fit(1, 2.0, late_s=0.0), host="elsewhere")
    member = record.fleet.members[0]
    assert (member.device.name, member.network.name) == ("pixel2", "4g-ghent")
    assert pace(record).values == (1.0,), "emulated, and never late"
    strange = Event("client_joined", 0, 0, 101.0, {"device": "my-own", "network": "4g-ghent"})
    record = recorded(tmp_path, strange, fit(1, 4.0, late_s=0.0), host="elsewhere")
    assert pace(record).values == pytest.approx((0.5,)), "of an unknown profile: as measured"


def lost(phase: str, reason: str = "its connection is gone") -> Event:
    return Event("client_lost", 2, 0, 125.0, {"phase": phase, "reason": reason})


def dropouts(record: Record) -> dict[tuple[int, str], float]:
    member, trace = record.fleet.members[0], record.trace.devices[0]
    return dict(replayed(member, trace, by_round=True).dropouts)


def test_a_drop_out_is_recorded_with_its_phase_and_replayed(tmp_path: Path) -> None:
    back = Event("client_back", 2, 0, 128.5)
    record = recorded(tmp_path, fit(1, 2.0), fit(2, 2.0), lost("collect"), back)
    mark = record.trace.devices[0].dropouts[0]
    assert (mark.round, mark.phase) == (2, "mask")
    assert mark.at_s == pytest.approx(23.0)
    assert dropouts(record) == {(2, "mask"): pytest.approx(5.5)}
    record = recorded(tmp_path, fit(2, 2.0), lost("unmask"))
    assert dropouts(record) == {(2, "unmask"): float("inf")}


@pytest.mark.parametrize(
    "reason",
    [
        "later than the round's deadline of 5 s",
        "no answer within 60 s",
        "it reported: TrainingError",
    ],
)
def test_what_follows_from_something_else_is_no_drop_out(tmp_path: Path, reason: str) -> None:
    record = recorded(tmp_path, fit(2, 2.0), lost("collect", reason))
    assert record.trace.devices[0].dropouts == ()
    assert dropouts(record) == {}


def test_losses_of_a_virtual_run_come_about_by_themselves(tmp_path: Path) -> None:
    record = recorded(tmp_path, fit(2, 2.0), lost("collect"), clock="virtual")
    assert [mark.phase for mark in record.trace.devices[0].dropouts] == ["mask"]
    assert dropouts(record) == {}


def test_a_record_that_says_what_the_profile_says_changes_nothing(tmp_path: Path) -> None:
    record = recorded(tmp_path, fit(1, 2.0, late_s=0.0))
    told = replayed(record.fleet.members[0], record.trace.devices[0], by_round=True)
    assert told.over == PlayedTrace(0.0, "hold", 1.0)
    assert told.rounds == {1: pytest.approx(11.0), 2: pytest.approx(20.0), 3: pytest.approx(30.0)}


class Worker:
    """The double: enters `fit` of rounds 1 and 2, and ends."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer, self.last = tracer, 0

    async def run(self) -> str:
        for round_ in (1, 2):
            if round_ > self.last:
                self.last = round_
                with self.tracer.span("fit", round_):
                    await asyncio.sleep(0)
        return "over"


@pytest.mark.parametrize(("away_s", "ends"), [(7.0, "over"), (float("inf"), "it was lost here")])
async def test_a_device_leaves_as_it_enters_the_phase(away_s: float, ends: str) -> None:
    timer, recorder, calls = ManualTimer(50.0), ListRecorder(), list[str]()
    told = Replayed(PlayedTrace(0.0, "hold", 1.0), {1: 30.0}, {(1, "fit"): away_s})
    tracer = HeardTracer(recorder, timer.now, 0)
    tracer.on_phase = Follower(told, timer.now).entered
    leaving = Leaving(Worker(tracer), timer, 2.0, lambda: calls.append("hung up"), tracer)
    playing = asyncio.ensure_future(leaving.run())
    for _ in range(5):
        await asyncio.sleep(0)
    assert calls == ["hung up"]
    assert told.alignment.lead_s == 30.0
    assert playing.done() == (away_s == float("inf"))
    timer.advance(50.0 + 2.0 * 7.0)
    assert (await playing).startswith(ends)
    spans = [item.round for item in recorder.items if isinstance(item, Span)]
    assert spans == ([2] if ends == "over" else []), "nothing of the phase happened"


def test_gone_says_for_how_long() -> None:
    follower = Follower(Replayed(PlayedTrace(0, "hold", 1.0), {}, {(2, "mask"): 4.0}), lambda: 0.0)
    follower.entered(1, "mask")
    follower.entered(2, "fit")
    with pytest.raises(Gone, match="gone for 4 s"):
        follower.entered(2, "mask")


def test_a_record_need_not_say_when_its_device_was_there(tmp_path: Path) -> None:
    record = recorded(tmp_path, fit(1, 2.0))
    trace: DeviceTrace = replace(record.trace.devices[0], available=None)
    trace = replace(trace, dropouts=(Dropout(12.0, 1, "fit"),))
    assert replayed(record.fleet.members[0], trace, by_round=True).dropouts == {}
