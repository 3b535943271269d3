"""From one finished round's spans and events to its rows.

Pure; knows no file and no other round.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from protocol.stragglers import find_stragglers
from protocol.telemetry import Event, Span
from runs.critical import client_durations, critical_path
from runs.fidelity import round_is_stable
from runs.lateness import client_lateness
from runs.rows import ClientRow, CriticalPath, RoundRow
from runs.settings import Place, RunSettings
from runs.values import flag, items, number, table, text, whole

_NOWHERE = Place(None, None)


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """All that was recorded of one finished round."""

    finished: Event
    spans: Sequence[Span]
    arrivals: Mapping[int, float]
    """Instant at which each client's upload was whole at the coordinator."""


@dataclass(frozen=True, slots=True)
class Fates:
    participants: tuple[int, ...]
    survivors: frozenset[int]
    lost: Mapping[int, str]


def derive(
    settings: RunSettings, places: Mapping[int, Place], record: RoundRecord
) -> tuple[RoundRow, dict[int, ClientRow]]:
    """The round's row, its `elapsed_s` left for who knows the rounds before, and its clients'."""
    window = round_span(record.spans)
    spans = [s for s in record.spans if window is None or s.start_s >= window.start_s]
    fates = read_fates(record.finished, spans)
    warmup = record.finished.round <= settings.warmup_rounds
    by_client: dict[int | None, list[Span]] = {}
    for span in spans:
        by_client.setdefault(span.client, []).append(span)
    rows = {}
    for client in fates.participants:
        row = _measured(record.finished.round, client, by_client.get(client, []))
        place = places.get(client, _NOWHERE)
        rows[client] = replace(
            row,
            device=place.device,
            network=place.network,
            warmup=warmup,
            survived=client in fates.survivors,
            lost_phase=fates.lost.get(client),
            idle_s=max(0.0, window.end_s - window.start_s - row.busy_s) if window else None,
        )
    rows = _judged(settings, rows)
    path = critical_path(spans, window, fates.survivors, record.arrivals)
    round_row = _round_row(record.finished, fates, rows, path)
    round_s = window.end_s - window.start_s if window else None
    return replace(
        round_row,
        warmup=warmup,
        start_s=window.start_s if window else None,
        round_s=round_s,
        stable=round_is_stable(round_s, round_row.late_s, settings.bounds),
        evaluate_s=_coordinator_seconds(spans, "evaluate"),
        aggregation=round_row.aggregation or settings.aggregation,
    ), rows


def round_span(spans: Sequence[Span]) -> Span | None:
    """The attempt that succeeded: the coordinator's last `round` that did not fail."""
    attempts = [s for s in spans if s.client is None and s.phase == "round"]
    return next((s for s in reversed(attempts) if "failed" not in s.notes), None)


def read_fates(finished: Event, spans: Sequence[Span]) -> Fates:
    """Who took part, who came through, and who was lost in which phase."""
    seen = {s.client for s in spans if s.client is not None}
    said = {c for c in items(finished.notes, "participants") if isinstance(c, int)}
    lost = {int(c): str(phase) for c, phase in table(finished.notes, "lost").items() if _is_id(c)}
    participants = tuple(sorted(said or seen | lost.keys()))
    survivors = {c for c in items(finished.notes, "survivors") if isinstance(c, int)}
    return Fates(participants, frozenset(survivors or set(participants) - lost.keys()), lost)


def _is_id(text_: str) -> bool:
    return text_.removeprefix("-").isdecimal()


def _coordinator_seconds(spans: Sequence[Span], phase: str) -> float | None:
    found = [s.end_s - s.start_s for s in spans if s.client is None and s.phase == phase]
    return sum(found) if found else None


def _measured(round_: int, client: int, spans: Sequence[Span]) -> ClientRow:
    """What the client's own spans say."""
    seconds = client_durations(spans).get(client, {})
    notes = next((s.notes for s in reversed(spans) if s.phase == "fit"), {})
    keep, fit_s = number(notes, "keep_ratio"), seconds.get("fit")
    full_fit_s = number(notes, "full_s")
    if full_fit_s is None and keep in (None, 1.0):
        full_fit_s = fit_s
    network_s = _sum(seconds.get("download"), seconds.get("upload"))
    return ClientRow(
        round=round_,
        client=client,
        device=None,
        network=None,
        warmup=False,
        survived=False,
        lost_phase=None,
        straggler_declared=flag(notes, "straggler"),
        straggler_measured=None,
        keep_ratio=keep,
        keys_s=seconds.get("keys"),
        shares_s=seconds.get("shares"),
        download_s=seconds.get("download"),
        fit_s=fit_s,
        mask_s=seconds.get("mask"),
        upload_s=seconds.get("upload"),
        consistency_s=seconds.get("consistency"),
        unmask_s=seconds.get("unmask"),
        network_s=network_s,
        full_fit_s=full_fit_s,
        full_s=_sum(full_fit_s, network_s),
        target_s=number(notes, "target_s"),
        predicted_s=number(notes, "predicted_s"),
        busy_s=sum(seconds.values()),
        idle_s=None,
        late_s=client_lateness(spans),
        bytes_up=sum(s.bytes_up for s in spans),
        bytes_down=sum(s.bytes_down for s in spans),
        loss=number(notes, "loss"),
        examples=number(notes, "examples"),
        reason=text(notes, "reason"),
    )


def _sum(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first + second


def _judged(settings: RunSettings, rows: Mapping[int, ClientRow]) -> dict[int, ClientRow]:
    """The stragglers by this round's measured times; a client without a time is not judged."""
    times_s = {c: row.full_s for c, row in rows.items() if row.full_s is not None}
    share, margin = settings.straggler_share, settings.straggler_margin
    found = find_stragglers(times_s, share, margin).stragglers
    return {
        client: replace(row, straggler_measured=client in found if client in times_s else None)
        for client, row in rows.items()
    }


def _round_row(
    finished: Event, fates: Fates, rows: Mapping[int, ClientRow], path: CriticalPath
) -> RoundRow:
    notes = finished.notes
    scores = [s for s in items(notes, "per_client") if isinstance(s, int | float)]
    return RoundRow(
        round=finished.round,
        attempt=whole(notes, "attempt"),
        warmup=False,
        start_s=None,
        round_s=None,
        elapsed_s=None,
        evaluate_s=None,
        late_s=sum(path.late_s.values()) if path.late_s else None,
        stable=None,
        clients=len(fates.participants),
        survivors=len(fates.survivors),
        lost=fates.lost,
        stragglers_declared=sum(row.straggler_declared is True for row in rows.values()),
        keep_ratio_min=min(
            (row.keep_ratio for row in rows.values() if row.keep_ratio is not None), default=None
        ),
        aggregation=text(notes, "aggregation"),
        clipped_fraction=number(notes, "clipped_fraction"),
        metric=number(notes, "metric"),
        loss=number(notes, "loss"),
        per_client=tuple(float(s) for s in scores),
        bytes_up=sum(row.bytes_up for row in rows.values()),
        bytes_down=sum(row.bytes_down for row in rows.values()),
        critical=path,
    )
