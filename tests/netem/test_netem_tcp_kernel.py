"""The TCP model against the kernel's TCP, as recorded in benchmarks/kernel_tcp.json."""

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from tests.netem.tcp_rig import Cell, RecordedLoss, delivered, transfer_s

RECORD = json.loads((Path(__file__).parents[2] / "benchmarks" / "kernel_tcp.json").read_text())
LARGEST = 2_000_000  # to keep the suite fast; benchmarks.tcp compares them all


def cell_of(row: Mapping[str, Any]) -> Cell:
    return Cell(row["mbit_s"], row["rtt_ms"], row["queue_bytes"], row["congestion_control"])


def errors_of(rows: list[dict[str, Any]]) -> list[float]:
    return [transfer_s(cell_of(row), row["bytes"]) / row["seconds"] - 1 for row in rows]


@pytest.mark.parametrize("group", ["seen", "unseen"])
def test_transfers_take_what_the_kernels_take(group: str) -> None:
    """Queues of 200 ms or a round trip; `unseen` cells were measured after the model was done."""
    rows = [r for r in RECORD["transfers"] if r["group"] == group and r["bytes"] <= LARGEST]
    assert len(rows) >= 15
    errors = [abs(error) for error in errors_of(rows)]
    assert mean(errors) <= 0.01
    assert max(errors) <= 0.06


def test_shallow_queues_are_right_in_the_middle() -> None:
    """With a queue far below the bandwidth-delay product one drop more or less decides, so that
    the kernel's own times spread as well: the median error is held, not the worst."""
    rows = [r for r in RECORD["transfers"] if r["group"] == "shallow" and r["bytes"] <= LARGEST]
    errors = sorted(abs(error) for error in errors_of(rows))
    assert errors[len(errors) // 2] <= 0.03


def test_an_idle_connection_starts_again_as_the_kernels() -> None:
    for row in RECORD["pauses"]:
        seconds = transfer_s(cell_of(row), row["bytes"], row["pause_s"])
        assert seconds == pytest.approx(row["seconds"], rel=0.08), row


@pytest.mark.parametrize("control", ["cubic", "reno"])
def test_lossy_links_carry_what_the_kernels_carry(control: str) -> None:
    """With the same packets lost. The largest shares only of what benchmarks.tcp compares."""
    rows = [
        row
        for row in RECORD["losses"]
        if row["congestion_control"] == control and row["loss"] >= 0.01 and row["seed"] == 8
    ]
    assert len(rows) == 6
    for row in rows:
        loss = RecordedLoss(row["loss"], row["seed"])
        got = delivered(cell_of(row), row["seconds"], loss)
        assert got == pytest.approx(row["bytes"], rel=0.12), row
