"""A fake run of four clients with known times: every figure below can be worked out by hand.

Clients 0 and 1 are equal; client 2 computes slowly and is the only straggler; client 3 uploads
at less than half the rate of 0 and 1. Two warm-up rounds, then client 2 halves its fit.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from protocol.telemetry import Event, Json, ListRecorder, Recorder, Span

CONFIG: dict[str, object] = {
    "run": {
        "task": "digits",
        "strategy": "clip-network",
        "aggregation": "secagg",
        "adversary": "semi-honest",
        "clock": "virtual",
        "net": "stream",
        "seed": 7,
        "rounds": 4,
        "warmup_rounds": 2,
        "metric": "accuracy",
        "target_metric": 0.85,
        "time_scale": 1.0,
        "resume": None,
    },
    "strategy": {"straggler_share": 0.25, "straggler_margin": 0.1},
    "fleet": {
        "name": "fake-4",
        "members": [
            {"index": 0, "device": "laptop", "network": "lan"},
            {"index": 1, "device": "laptop", "network": "lan"},
            {"index": 2, "device": "rpi3", "network": "lan"},
            {"index": 3, "device": "laptop", "network": "lte"},
        ],
    },
    "secure_aggregation": {"threshold": 3, "ring_bits": 32, "neighbours": 3},
    "versions": {"torch": "2.13.0"},
    "host": "test",
}


@dataclass
class FakeRun:
    """Emits a run to a recorder, instant by instant."""

    recorder: Recorder = field(default_factory=ListRecorder)
    now_s: float = 100.0
    fit_s: dict[int, float] = field(default_factory=lambda: {0: 2.0, 1: 2.0, 2: 6.0, 3: 2.0})
    upload_s: dict[int, float] = field(default_factory=lambda: {0: 1.0, 1: 1.0, 2: 1.0, 3: 2.2})
    saved_fit: float = 0.5
    slower: float = 1.0
    late_s: float = 0.001
    """By which emulation holds up each client in each of its phases."""

    def span(self, phase: str, round_: int, client: int | None, at: tuple[float, float]) -> None:
        up = 1000 if phase == "upload" else 0
        down = 500 if phase == "download" else 0
        notes: dict[str, Json] = {} if client is None else {"late_s": self.late_s}
        self.recorder.record(Span(phase, round_, client, at[0], at[1], up, down, notes))

    def event(self, kind: str, round_: int = 0, client: int | None = None, **notes: Json) -> None:
        self.recorder.record(Event(kind, round_, client, self.now_s, notes))

    def start(self) -> None:
        self.event("run_started")
        for client in range(4):
            self.event("client_joined", client=client, member=client)
            self.span("join", 0, client, (self.now_s, self.now_s + 0.5))
        self.now_s += 1.0

    def round(self, round_: int, metric: float, lost: dict[int, str] | None = None) -> None:
        """0.1 plan, 0.2 keys, 0.2 shares, collect (download 0.5, fit, mask 0.5, upload), 0.3
        unmask, 0.1 apply, then 0.4 evaluate outside the round."""
        lost, start = lost or {}, self.now_s
        collect = start + 0.5
        ends = {}
        for client in range(4):
            if client not in lost:
                ends[client] = self._client(round_, client, collect)
        last = max(ends.values())
        end = last + 0.4
        for phase, at in {
            "plan": (start, start + 0.1),
            "keys": (start + 0.1, start + 0.3),
            "shares": (start + 0.3, collect),
            "collect": (collect, last),
            "unmask": (last, last + 0.3),
            "apply": (last + 0.3, end),
            "round": (start, end),
            "evaluate": (end, end + 0.4),
        }.items():
            self.span(phase, round_, None, at)
        self.now_s = end + 0.4
        self.finish_round(round_, metric, sorted(ends), lost)

    def _client(self, round_: int, client: int, collect: float) -> float:
        pruned = client == 2 and round_ > 2
        full_s = self.fit_s[client] * self.slower
        fit_s = full_s * (self.saved_fit if pruned else 1.0)
        self.span("keys", round_, client, (collect - 0.4, collect - 0.3))
        self.span("shares", round_, client, (collect - 0.2, collect - 0.1))
        self.span("download", round_, client, (collect, collect + 0.5))
        masking = collect + 0.5 + fit_s
        notes: dict[str, Json] = {
            "keep_ratio": 0.6 if pruned else 1.0,
            "straggler": pruned,
            "full_s": full_s,
            "loss": 0.5,
            "examples": 80,
            "late_s": self.late_s,
        }
        self.recorder.record(Span("fit", round_, client, collect + 0.5, masking, notes=notes))
        self.span("mask", round_, client, (masking, masking + 0.5))
        end = masking + 0.5 + self.upload_s[client]
        self.span("upload", round_, client, (masking + 0.5, end))
        self.recorder.record(
            Event("upload_received", round_, None, end, {"client": client, "bytes": 1000})
        )
        return end

    def finish_round(
        self, round_: int, metric: float, survivors: list[int], lost: dict[int, str]
    ) -> None:
        self.event(
            "round_finished",
            round_,
            attempt=1,
            participants=[0, 1, 2, 3],
            survivors=list(survivors),
            lost={str(client): phase for client, phase in lost.items()},
            clipped_fraction=0.001,
            aggregation="secagg",
            metric=metric,
            loss=1 - metric,
            per_client=[metric] * 4,
        )

    def fidelity(self) -> None:
        for client in range(4):
            self.event(
                "fidelity",
                client=client,
                lateness_ms={"p50": 0.1, "p99": 0.8, "max": 2.5},
                releases=[[0.1, 98], [0.8, 2]],
                rate_error={"p50": 0.001, "max": 0.004},
                overrun_s=0.0,
                late_jobs=0,
            )

    def whole(self) -> None:
        """Two warm-up rounds, a pruned one, and a pruned one that loses client 3 in its upload."""
        self.start()
        self.round(1, 0.5)
        self.round(2, 0.7)
        self.round(3, 0.8)
        self.round(4, 0.9, lost={3: "upload"})
        self.fidelity()
        self.event("run_finished", status="finished", reason=None)


@pytest.fixture(scope="session")
def config() -> dict[str, object]:
    return CONFIG


@pytest.fixture(scope="session")
def fake_run() -> Callable[..., FakeRun]:
    return FakeRun
