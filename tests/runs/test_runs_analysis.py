"""From a run with known times to known rows, critical path, stragglers and summary."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from protocol.telemetry import Event, Json, ListRecorder, Span
from runs.analysis import analyse
from runs.ledger import Ledger
from runs.summary import summarise

Fake = Callable[..., Any]
Config = dict[str, object]


@pytest.fixture
def ledger(config: Config, fake_run: Fake) -> Ledger:
    run = fake_run()
    run.whole()
    return analyse(config, run.recorder.items)


@pytest.fixture
def summary(ledger: Ledger) -> Any:  # noqa: ANN401
    return summarise(ledger, "fake", "finished")


def test_round_times_are_from_plan_to_apply(ledger: Ledger) -> None:
    """0.5 before collect, the straggler's 0.5 + fit + 0.5 + 1, then 0.4: fit is 6, pruned 3.

    In round 3 client 3 (fit 2, upload 2.2) is last; in round 4 it is lost."""
    rows = ledger.ordered()
    assert [row.round for row in rows] == [1, 2, 3, 4]
    assert [row.round_s for row in rows] == pytest.approx([8.9, 8.9, 6.1, 5.9])
    assert [row.elapsed_s for row in rows] == pytest.approx([8.9, 17.8, 23.9, 29.8])
    assert [row.warmup for row in rows] == [True, True, False, False]
    assert [row.evaluate_s for row in rows] == pytest.approx([0.4] * 4)


def test_critical_path_follows_the_last_upload_and_sums_to_the_round(ledger: Ledger) -> None:
    warm, pruned = ledger.rounds[1].critical, ledger.rounds[3].critical
    assert (warm.client, warm.phase) == (2, "fit")
    assert warm.seconds["fit"] == pytest.approx(6.0)
    assert sum(warm.seconds.values()) == pytest.approx(8.9)
    assert (pruned.client, pruned.phase) == (3, "upload")
    assert sum(pruned.seconds.values()) == pytest.approx(6.1)


def test_client_rows(ledger: Ledger) -> None:
    row = ledger.clients[3][2]
    assert (row.device, row.network) == ("rpi3", "lan")
    assert (row.fit_s, row.network_s) == pytest.approx((3.0, 1.5))
    assert (row.full_fit_s, row.full_s) == pytest.approx((6.0, 7.5))
    assert (row.keep_ratio, row.straggler_declared, row.straggler_measured) == (0.6, True, True)
    assert (row.bytes_up, row.bytes_down) == (1000, 500)
    assert row.busy_s == pytest.approx(0.2 + 0.5 + 3 + 0.5 + 1)
    assert row.idle_s == pytest.approx(6.1 - 5.2)


def test_a_lost_client_keeps_its_row_and_says_where_it_was_lost(ledger: Ledger) -> None:
    row = ledger.clients[4][3]
    assert (row.survived, row.lost_phase, row.fit_s) == (False, "upload", None)
    assert ledger.rounds[4].survivors == 3
    assert ledger.rounds[4].lost == {3: "upload"}


def test_summary_has_the_contract_s_keys(summary: Any) -> None:  # noqa: ANN401
    assert summary["schema"] == 1
    assert (summary["clients"], summary["rounds"], summary["seed"]) == (4, 4, 7)
    assert summary["metric"].items() >= {"name": "accuracy", "final": 0.9, "best": 0.9}.items()
    assert summary["round_s"] == pytest.approx({"mean": 6.0, "p50": 6.0, "p95": 6.09, "max": 6.1})
    assert summary["bytes"] == {"up": 15000, "down": 7500, "saved": None}
    assert (
        summary["secure_aggregation"].items()
        >= {
            "protocol": "secagg",
            "neighbours": 3,
            "threshold": 3,
            "ring_bits": 32,
            "dropped": 1,
        }.items()
    )
    assert summary["secure_aggregation"]["clipped_fraction"] == pytest.approx(0.001)
    assert summary["fidelity"]["lateness_ms"] == {"p50": 0.1, "p99": 0.8, "max": 2.5}
    assert summary["fidelity"]["rate_error"] == {"p50": 0.001, "max": 0.004}
    assert summary["fidelity"]["stable"] is True


def test_straggler_is_told_with_cause_before_and_after(summary: Any) -> None:  # noqa: ANN401
    """Full times: 3.5, 3.5, 7.5, 4.7. The slowest other is client 3 with 4.7 s."""
    (straggler,) = summary["stragglers"]
    assert straggler["client"] == 2
    assert straggler["target_s"] == pytest.approx(4.7)
    assert straggler["above_target"] == pytest.approx(7.5 / 4.7 - 1)
    assert straggler["fit_excess_s"] == pytest.approx(4.0)
    assert (straggler["larger_excess"], straggler["slow_phase"]) == ("compute", "fit")
    assert straggler["keep_ratio"] == pytest.approx(0.6)
    assert (straggler["before_s"], straggler["after_s"]) == pytest.approx((7.5, 4.5))


def test_speedup_is_against_own_warmup_and_stays_below_the_bound(summary: Any) -> None:  # noqa: ANN401
    speedup = summary["speedup"]
    assert speedup["saved"] == pytest.approx(1 - 6.0 / 8.9)
    assert speedup["factor"] == pytest.approx(8.9 / 6.0)
    assert speedup["bound"] == pytest.approx(1 - 4.7 / 7.5)
    assert speedup["saved"] < speedup["bound"]


def test_time_to_target(summary: Any) -> None:  # noqa: ANN401
    reached = summary["to_target"]
    assert (reached["metric"], reached["round"]) == (0.85, 4)
    assert reached["time_s"] == pytest.approx(29.8)
    assert reached["bytes"] == 15000 + 7500


def test_devices_busy_idle(summary: Any) -> None:  # noqa: ANN401
    slow = summary["devices"][2]
    assert slow["busy_s"] == pytest.approx(2 * 8.2 + 2 * 5.2)
    assert slow["busy_s"] + slow["idle_s"] == pytest.approx(29.8)


@pytest.mark.parametrize(
    ("late_s", "notes", "stable"),
    [
        (0.02, {"releases": [[0.1, 90], [80.0, 10]], "late_jobs": 30, "overrun_s": 9.0}, True),
        (0.03, {}, False),
        (0.0, {"rate_error": {"p50": 0.0049, "max": 0.019}}, True),
        (0.0, {"rate_error": {"p50": 0.0051, "max": 0.019}}, False),
        (0.0, {"rate_error": {"p50": 0.001, "max": 0.021}}, False),
    ],
)
def test_stability(
    config: Config, fake_run: Fake, late_s: float, notes: dict[str, Json], stable: bool
) -> None:
    """A round of 8.9 s, late in keys and shares and in four phases of its last client: 6 × 30 ms
    is 2.02 % of it. Lateness that holds nobody up, and overruns beside the critical path, do not
    count."""
    run = fake_run(late_s=late_s)
    run.start()
    run.round(1, 0.5)
    for client in range(4):
        run.event("fidelity", client=client, **notes)
    fidelity: Any = summarise(analyse(config, run.recorder.items), "x", "finished")["fidelity"]
    assert fidelity["stable"] is stable
    assert bool(fidelity["broken"]) is not stable


def test_only_the_last_client_s_lateness_lengthens_the_collection(
    config: Config, fake_run: Fake
) -> None:
    run = fake_run()
    run.start()
    run.round(1, 0.5)
    late = {"keys": 0.25, "fit": 0.5}
    items = [
        replace(i, notes={**i.notes, "late_s": late.get(i.phase, 0.0)})
        if isinstance(i, Span) and i.client == 0
        else i
        for i in run.recorder.items
    ]
    ledger = analyse(config, items)
    row = ledger.rounds[1]
    assert row.critical.client == 2
    assert row.critical.late_s == pytest.approx(
        {"keys": 0.25, "shares": 0.001, "download": 0.001, "fit": 0.001, "mask": 0.001}
        | {"upload": 0.001}
    )
    assert row.late_s == pytest.approx(0.255)
    assert row.stable is False
    assert ledger.clients[1][0].late_s == pytest.approx(0.75)


def test_the_verdict_names_the_unstable_rounds(config: Config, fake_run: Fake) -> None:
    run = fake_run()
    run.start()
    run.round(1, 0.5)
    run.late_s = 0.04
    run.round(2, 0.6)
    run.fidelity()
    ledger = analyse(config, run.recorder.items)
    fidelity: Any = summarise(ledger, "x", "finished")["fidelity"]
    assert fidelity["unstable_rounds"] == [2]
    assert fidelity["broken"] == ["1 of 2 rounds may be more than 2.0% too long: 2 (worst 2: 2.7%)"]
    assert [row.stable for row in ledger.ordered()] == [True, False]


def test_a_client_that_never_said_how_faithful_it_was_counts(
    config: Config, fake_run: Fake
) -> None:
    """One lost for good before the last round is not waited for."""
    run = fake_run()
    run.start()
    run.round(1, 0.5)
    run.round(2, 0.5, lost={3: "upload"})
    for client in (0, 2):
        run.event("fidelity", client=client, overrun_s=0.0)
    fidelity: Any = summarise(analyse(config, run.recorder.items), "x", "finished")["fidelity"]
    assert fidelity["unreported"] == [1]
    assert fidelity["stable"] is False
    assert fidelity["broken"] == ["no word on its fidelity from client 1"]


def test_what_was_not_measured_is_null() -> None:
    """A run of which only the ends of rounds are known, under an empty config."""
    ledger = analyse({}, [Event("round_finished", 1, None, 5.0, {"participants": [0, 1]})])
    summary: Any = summarise(ledger, "bare", "finished")
    assert summary["round_s"] == {"mean": None, "p50": None, "p95": None, "max": None}
    assert summary["metric"]["final"] is None
    assert summary["fidelity"]["stable"] is None
    assert summary["stragglers"] == []
    assert summary["speedup"]["saved"] is None
    assert ledger.clients[1][0].fit_s is None


def test_a_failed_attempt_does_not_count_in_the_round_that_succeeded(
    config: Config, fake_run: Fake
) -> None:
    run = fake_run()
    run.start()
    run.span("fit", 1, 0, (run.now_s, run.now_s + 50))
    run.recorder.record(
        Span("round", 1, None, run.now_s, run.now_s + 50, notes={"failed": "TooFewLeft"})
    )
    run.event("round_failed", 1, reason="too few left")
    run.now_s += 60
    run.round(1, 0.5)
    ledger = analyse(config, run.recorder.items)
    assert ledger.clients[1][0].fit_s == pytest.approx(2.0)
    summary: Any = summarise(ledger, "x", "finished")
    assert summary["totals"]["failed_rounds"] == 1
    assert summary["round_s"]["mean"] == pytest.approx(8.9)


def test_a_span_that_arrives_after_its_round_still_counts(config: Config, fake_run: Fake) -> None:
    run = fake_run()
    run.start()
    run.round(1, 0.5)
    run.span("unmask", 1, 0, (run.now_s - 0.6, run.now_s - 0.5))
    run.round(2, 0.6)
    assert analyse(config, run.recorder.items).clients[1][0].unmask_s == pytest.approx(0.1)


def test_a_uniform_fleet_has_no_stragglers(config: Config, fake_run: Fake) -> None:
    run = fake_run(recorder=ListRecorder(), fit_s=dict.fromkeys(range(4), 2.0))
    run.upload_s = dict.fromkeys(range(4), 1.0)
    run.whole()
    summary: Any = summarise(analyse(config, run.recorder.items), "x", "finished")
    assert summary["stragglers"] == []
    assert summary["speedup"]["bound"] is None


CONTRACT: dict[str, set[str]] = {
    "metric": {"name", "final", "best"},
    "round_s": {"mean", "p50", "p95", "max"},
    "bytes": {"up", "down", "saved"},
    "secure_aggregation": {
        "protocol",
        "neighbours",
        "threshold",
        "ring_bits",
        "dropped",
        "clipped_fraction",
    },
    "fidelity": {"lateness_ms", "rate_error", "stable"},
}


@pytest.mark.parametrize("status", ["running", "finished", "interrupted", "failed"])
def test_the_contract_s_keys_are_there_from_the_first_instant(config: Config, status: str) -> None:
    summary: Any = summarise(analyse(config, []), "empty", status)
    plain = {"schema", "run", "task", "strategy", "clock", "net", "seed", "clients", "rounds"}
    assert summary.keys() >= plain | CONTRACT.keys() | {"phase_s", "stragglers"}
    for key, inner in CONTRACT.items():
        assert summary[key].keys() >= inner
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_every_key_is_documented(summary: Any) -> None:  # noqa: ANN401
    page = (Path(__file__).parents[2] / "docs" / "output.md").read_text()
    nested = {k for v in summary.values() if isinstance(v, dict) for k in v}
    nested -= summary["phase_s"].keys()
    listed = {k for key in ("stragglers", "curve", "devices") for k in summary[key][0]}
    nested -= summary["fidelity"]["phase_late_s"].keys()
    listed -= {"bytes_up", "bytes_down", "critical_client", "critical_phase"}  # told in words
    missing = {key for key in summary.keys() | nested | listed if f"`{key}`" not in page}
    assert missing == set()
