"""Who held the fleet up, by how much and why, measured on unpruned rounds.

Pure; the rule itself is `protocol.stragglers`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from protocol.stragglers import Verdict, find_stragglers
from protocol.telemetry import Json
from runs.ledger import Ledger
from runs.rows import ClientRow
from runs.tallies import Sum, Tally
from runs.values import mean

_PHASES = ("download", "fit", "upload")
_WARMUP = "warm-up rounds"


def full_times(ledger: Ledger) -> tuple[dict[int, list[ClientRow]], str]:
    """Each client's rows with a full-model time, and where they are from: the warm-up rounds, or
    every round (pruned ones by their full-model equivalent) where there was no warm-up; of a large
    run those whose rows are kept."""
    every, kept = len(ledger.rounds), list(ledger.clients)
    for source, rounds in (
        (_WARMUP, [r for r, row in ledger.rounds.items() if row.warmup]),
        ("all rounds" if len(kept) == every else f"the last {len(kept)} rounds", kept),
    ):
        rows: dict[int, list[ClientRow]] = {}
        for round_ in rounds:
            for client, row in ledger.clients[round_].items():
                if row.full_s is not None:
                    rows.setdefault(client, []).append(row)
        if rows:
            return rows, source
    return {}, "not measured"


@dataclass(frozen=True, slots=True)
class Judged:
    """What unpruned rounds say of the fleet."""

    rows: Mapping[int, list[ClientRow]]
    source: str
    times_s: Mapping[int, float]
    verdict: Verdict
    typical: Mapping[str, float]


def judge(ledger: Ledger) -> Judged:
    """Kept with the ledger while its warm-up rounds stay as they are: a large fleet is not to be
    judged anew after each round."""
    if isinstance(ledger.judged, Judged):
        return ledger.judged
    rows, source = full_times(ledger)
    times_s = {client: median(r.full_s or 0.0 for r in mine) for client, mine in rows.items()}
    settings = ledger.settings
    verdict = find_stragglers(times_s, settings.straggler_share, settings.straggler_margin)
    others = {c: r for c, r in rows.items() if c not in verdict.stragglers}
    judged = Judged(rows, source, times_s, verdict, _typical(others) if verdict.stragglers else {})
    if source == _WARMUP:
        ledger.judged = judged
    return judged


def describe_stragglers(ledger: Ledger) -> tuple[list[Json], float | None, str]:
    """The stragglers, slowest first; the bound on what pruning them can save; the source."""
    judged = judge(ledger)
    rows, source, verdict = judged.rows, judged.source, judged.verdict
    if not verdict.stragglers:
        return [], None, source
    described: list[Json] = [
        _describe(ledger, client, rows[client], verdict.target_s, judged.typical)
        for client in verdict.stragglers
    ]
    return described, 1 - verdict.target_s / judged.times_s[verdict.stragglers[0]], source


def _typical(rows: Mapping[int, list[ClientRow]]) -> dict[str, float]:
    """The median seconds of those who are no stragglers, by phase."""
    flat = [row for mine in rows.values() for row in mine]
    return {phase: median(_phase(row, phase) for row in flat) for phase in _PHASES}


def _phase(row: ClientRow, phase: str) -> float:
    seconds = {"download": row.download_s, "fit": row.full_fit_s, "upload": row.upload_s}[phase]
    return seconds or 0.0


def _describe(
    ledger: Ledger,
    client: int,
    rows: list[ClientRow],
    target_s: float,
    typical: Mapping[str, float],
) -> Json:
    excess = {p: median(_phase(row, p) for row in rows) - typical[p] for p in _PHASES}
    network_excess_s = excess["download"] + excess["upload"]
    full_s = median(row.full_s or 0.0 for row in rows)
    after = [
        mine[client]
        for round_, mine in ledger.clients.items()
        if client in mine and not ledger.rounds[round_].warmup
    ]
    tally = ledger.tallies.get(client, Tally())
    return {
        "client": client,
        "device": rows[-1].device,
        "network": rows[-1].network,
        "full_s": full_s,
        "target_s": target_s,
        "above_target": full_s / target_s - 1 if target_s > 0 else None,
        "fit_excess_s": excess["fit"],
        "network_excess_s": network_excess_s,
        "larger_excess": "compute" if excess["fit"] >= network_excess_s else "network",
        "phase_excess_s": {**excess},
        "slow_phase": max(_PHASES, key=lambda phase: excess[phase]),
        "keep_ratio": _mean([row.keep_ratio for row in after], tally.keep_ratio),
        "declared_rounds": sum(row.straggler_declared is True for row in after)
        + tally.declared_rounds,
        "before_s": mean([row.own_s for row in rows if row.own_s is not None and row.warmup]),
        "after_s": _mean([row.own_s for row in after], tally.own_s),
    }


def _mean(values: Sequence[float | None], before: Sum) -> float | None:
    """`before`: of the rows that were not kept."""
    known = [value for value in values if value is not None]
    if not before.count:
        return mean(known)
    return (before.total + math.fsum(known)) / (before.count + len(known))
