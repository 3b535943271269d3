"""From one finished round's spans and events to its rows.

Pure; knows no file and no other round.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from protocol.stragglers import find_stragglers
from protocol.telemetry import Event, Span
from runs.critical import critical_path
from runs.fidelity import round_is_stable
from runs.measured import NOTHING, Measured, measure
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


@dataclass(frozen=True, slots=True)
class Standing:
    """Of one client in its round, beyond what it measured itself."""

    place: Place
    warmup: bool
    straggler: bool | None
    length_s: float | None


def derive(
    settings: RunSettings, places: Mapping[int, Place], record: RoundRecord
) -> tuple[RoundRow, dict[int, ClientRow]]:
    """The round's row, its `elapsed_s` left for who knows the rounds before, and its clients'."""
    window = round_span(record.spans)
    spans = [s for s in record.spans if window is None or s.start_s >= window.start_s]
    fates = read_fates(record.finished, spans)
    warmup = record.finished.round <= settings.warmup_rounds
    measured = measure(spans)
    full_s = {c: measured[c].full_s if c in measured else None for c in fates.participants}
    stragglers = _stragglers(settings, full_s)
    length_s = window.end_s - window.start_s if window else None
    rows = {}
    for client in fates.participants:
        judged = client in stragglers if full_s[client] is not None else None
        standing = Standing(places.get(client, _NOWHERE), warmup, judged, length_s)
        own = measured.get(client, NOTHING)
        rows[client] = _client_row(record.finished.round, client, own, (fates, standing))
    durations = {client: own.seconds for client, own in measured.items()}
    path = critical_path((spans, durations), window, fates.survivors, record.arrivals)
    round_row = _round_row(record.finished, fates, rows, path)
    return replace(
        round_row,
        warmup=warmup,
        start_s=window.start_s if window else None,
        round_s=length_s,
        stable=round_is_stable(length_s, round_row.late_s, settings.bounds),
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


def _client_row(
    round_: int, client: int, own: Measured, around: tuple[Fates, Standing]
) -> ClientRow:
    """Made at once: a large run has a hundred thousand of these."""
    fates, standing = around
    seconds, notes = own.seconds, own.fit_notes
    busy_s = sum(seconds.values())
    length_s = standing.length_s
    return ClientRow(
        round=round_,
        client=client,
        device=standing.place.device,
        network=standing.place.network,
        warmup=standing.warmup,
        survived=client in fates.survivors,
        lost_phase=fates.lost.get(client),
        straggler_declared=flag(notes, "straggler"),
        straggler_measured=standing.straggler,
        keep_ratio=number(notes, "keep_ratio"),
        keys_s=seconds.get("keys"),
        shares_s=seconds.get("shares"),
        download_s=seconds.get("download"),
        fit_s=seconds.get("fit"),
        mask_s=seconds.get("mask"),
        upload_s=seconds.get("upload"),
        consistency_s=seconds.get("consistency"),
        unmask_s=seconds.get("unmask"),
        network_s=own.network_s,
        full_fit_s=own.full_fit_s,
        full_s=own.full_s,
        target_s=number(notes, "target_s"),
        predicted_s=number(notes, "predicted_s"),
        busy_s=busy_s,
        idle_s=None if length_s is None else max(0.0, length_s - busy_s),
        late_s=own.late_s,
        bytes_up=own.bytes_up,
        bytes_down=own.bytes_down,
        loss=number(notes, "loss"),
        examples=number(notes, "examples"),
        reason=text(notes, "reason"),
    )


def _stragglers(settings: RunSettings, full_s: Mapping[int, float | None]) -> Collection[int]:
    """By this round's measured times; a client without a time is not judged."""
    times_s = {client: time_s for client, time_s in full_s.items() if time_s is not None}
    share, margin = settings.straggler_share, settings.straggler_margin
    return frozenset(find_stragglers(times_s, share, margin).stragglers)


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
        parameters=whole(notes, "parameters"),
        surviving=whole(notes, "surviving"),
        values_up=whole(notes, "values_up"),
        sparsity=number(notes, "sparsity"),
        critical=path,
    )
