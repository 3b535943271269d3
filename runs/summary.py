"""summary.json: what a run amounts to. Pure, from a ledger; names are part of the contract."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from protocol.telemetry import Json
from runs.fidelity import describe_fidelity
from runs.ledger import Ledger
from runs.phases import NAMES
from runs.records import SCHEMA
from runs.rows import ClientRow, RoundRow
from runs.settings import RunSettings
from runs.sparsity import describe_sparsity
from runs.straggling import describe_stragglers
from runs.tallies import Tally
from runs.values import mean, number, whole


def summarise(ledger: Ledger, run: str, status: str, reason: str | None = None) -> dict[str, Json]:
    """`status`: running, finished, interrupted or failed. Devices' busy time is added up only
    when the run is over: it costs a pass over every row."""
    settings, rounds = ledger.settings, ledger.ordered()
    warmup = [row for row in rounds if row.warmup]
    measured = [row for row in rounds if not row.warmup]
    curve = [_point(row) for row in rounds]
    stragglers, bound, source = describe_stragglers(ledger)
    run_s = sum(last - first for first, last in ledger.stretches)
    rounds_s = _total([row.round_s for row in rounds])
    return {
        "schema": SCHEMA,
        "run": run,
        "status": status,
        "reason": reason,
        "fleet": settings.fleet,
        "task": settings.task,
        "data": "simulated" if settings.simulated_data else None,
        "strategy": settings.strategy,
        "aggregation": settings.aggregation,
        "crypto": "modelled" if settings.modelled_crypto else "computed",
        "training": "modelled" if settings.modelled_training else "computed",
        "bodies": "phantom" if settings.phantom_bodies else "carried",
        "sparse_compute": settings.sparse_compute or "dense",
        "tcp": "rounds" if settings.tcp_by_rounds else "segments",
        "replay_of": settings.replay_of,
        "keys": settings.keys,
        "clock": settings.clock,
        "net": settings.net,
        "time_scale": settings.time_scale,
        "seed": settings.seed,
        "clients": len(ledger.places) or max((row.clients for row in rounds), default=0),
        "rounds": len(rounds),
        "warmup_rounds": len(warmup),
        "metric": _metric(settings, rounds),
        "round_s": _spread(measured or warmup),
        "round_s_over": "rounds after warm-up" if measured else "warm-up rounds",
        "phase_s": phase_means(measured or warmup),
        "warmup": {"round_s": _spread(warmup), "phase_s": phase_means(warmup)},
        "speedup": {**_speedup(warmup, measured), "bound": bound},
        "to_target": time_to(settings, curve, settings.target_metric),
        "bytes": _bytes(rounds),
        "sparsity": describe_sparsity(rounds),
        "totals": {
            "run_s": run_s,
            "rounds_s": rounds_s,
            "evaluate_s": _total([row.evaluate_s for row in rounds]),
            "join_s": ledger.outside_s.get("join"),
            "calibrate_s": ledger.outside_s.get("calibrate"),
            "failed_rounds": sum(event.kind == "round_failed" for event in ledger.failures),
        },
        "stragglers": stragglers,
        "stragglers_from": source,
        "secure_aggregation": _secure_aggregation(settings, rounds),
        "fidelity": describe_fidelity(
            ledger.fidelity, rounds, _present(ledger, status), settings.bounds
        ),
        "curve": list(curve),
        "devices": None if status == "running" else _devices(ledger),
    }


def _present(ledger: Ledger, status: str) -> set[int]:
    """Who came through the last round; while the run goes on nobody has reported yet."""
    if status == "running" or not ledger.clients:
        return set()
    last = ledger.clients[max(ledger.clients)]
    return {client for client, row in last.items() if row.survived}


def phase_means(rounds: Sequence[RoundRow]) -> dict[str, Json]:
    """Mean seconds of each phase on the critical path, over the rounds that have one."""
    paths = [row.critical.seconds for row in rounds if row.critical.seconds]
    return {
        name: sum(path.get(name, 0.0) for path in paths) / len(paths)
        for name in NAMES
        if any(name in path for path in paths)
    }


def time_to(
    settings: RunSettings, curve: Sequence[Mapping[str, object]], target: float | None
) -> Json:
    """The first round whose metric reaches `target`; null without a target or when not reached."""
    if target is None:
        return None
    sent = 0
    for point in curve:
        sent += (whole(point, "bytes_up") or 0) + (whole(point, "bytes_down") or 0)
        metric = number(point, "metric")
        if metric is not None and settings.best([metric, target]) == metric:
            elapsed_s = number(point, "elapsed_s")
            round_ = whole(point, "round")
            return {"metric": target, "round": round_, "time_s": elapsed_s, "bytes": sent}
    return {"metric": target, "round": None, "time_s": None, "bytes": None}


def _metric(settings: RunSettings, rounds: Sequence[RoundRow]) -> Json:
    values = [row.metric for row in rounds if row.metric is not None]
    last = next((row.per_client for row in reversed(rounds) if row.per_client), ())
    return {
        "name": settings.metric,
        "unit": settings.metric_unit,
        "lower_is_better": settings.lower_is_better,
        "final": values[-1] if values else None,
        "best": settings.best(values),
        "per_client": list(last) or None,
    }


def _spread(rounds: Sequence[RoundRow]) -> dict[str, Json]:
    seconds = [row.round_s for row in rounds if row.round_s is not None]
    if not seconds:
        return {"mean": None, "p50": None, "p95": None, "max": None}
    p50, p95 = np.percentile(seconds, [50, 95])
    return {"mean": mean(seconds), "p50": float(p50), "p95": float(p95), "max": max(seconds)}


def _speedup(warmup: Sequence[RoundRow], measured: Sequence[RoundRow]) -> dict[str, Json]:
    """Against the run's own warm-up rounds: `saved` = share of the round time, `factor` = ratio."""
    before = mean([row.round_s for row in warmup if row.round_s is not None])
    after = mean([row.round_s for row in measured if row.round_s is not None])
    known = before is not None and after is not None and before > 0 and after > 0
    return {
        "before_s": before,
        "after_s": after,
        "saved": 1 - after / before if known and before and after is not None else None,
        "factor": before / after if known and after and before is not None else None,
    }


def _bytes(rounds: Sequence[RoundRow]) -> Json:
    """`saved` stays null: one run cannot know what another would have sent."""
    return {
        "up": sum(row.bytes_up for row in rounds),
        "down": sum(row.bytes_down for row in rounds),
        "saved": None,
    }


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _secure_aggregation(settings: RunSettings, rounds: Sequence[RoundRow]) -> Json:
    phases = Counter(phase for row in rounds for phase in row.lost.values())
    clipped = [row.clipped_fraction for row in rounds if row.clipped_fraction is not None]
    return {
        "protocol": settings.aggregation,
        "adversary": settings.adversary,
        "neighbours": settings.neighbours,
        "threshold": settings.threshold,
        "ring_bits": settings.ring_bits,
        "dropped": phases.total(),
        "dropped_phases": dict(sorted(phases.items())),
        "clipped_fraction": mean(clipped),
        "clipped_fraction_max": max(clipped, default=None),
    }


def _point(row: RoundRow) -> dict[str, Json]:
    return {
        "round": row.round,
        "warmup": row.warmup,
        "round_s": row.round_s,
        "stable": row.stable,
        "elapsed_s": row.elapsed_s,
        "metric": row.metric,
        "loss": row.loss,
        "bytes_up": row.bytes_up,
        "bytes_down": row.bytes_down,
        "sparsity": row.sparsity,
        "critical_client": row.critical.client,
        "critical_phase": row.critical.phase,
    }


def _devices(ledger: Ledger) -> Json:
    mine: dict[int, list[ClientRow]] = {client: [] for client in ledger.tallies}
    for _, rows in sorted(ledger.clients.items()):
        for client, row in rows.items():
            mine.setdefault(client, []).append(row)
    tallies = ledger.tallies
    return [_device(client, rows, tallies.get(client)) for client, rows in sorted(mine.items())]


def _device(client: int, rows: Sequence[ClientRow], before: Tally | None) -> Json:
    """`before`: what its rows that were not kept come to."""
    idle = _total([row.idle_s for row in rows])
    busy = sum(row.busy_s for row in rows)
    wasted = sum(row.busy_s for row in rows if not row.survived)
    up, down = sum(row.bytes_up for row in rows), sum(row.bytes_down for row in rows)
    if before is not None:
        if before.idle_s.count:
            idle = before.idle_s.total + (idle or 0.0)
        busy, wasted = busy + before.busy_s, wasted + before.wasted_s
        up, down = up + before.bytes_up, down + before.bytes_down
    last = rows[-1] if rows else before
    return {
        "client": client,
        "device": last.device if last else None,
        "network": last.network if last else None,
        "busy_s": busy,
        "idle_s": idle,
        "busy_share": busy / (busy + idle) if idle is not None and busy + idle > 0 else None,
        "wasted_s": wasted,
        "bytes_up": up,
        "bytes_down": down,
    }
