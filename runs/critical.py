"""A round's critical path: which client, and which of its phases, held the round up.

Pure arithmetic on spans; knows no settings.
"""

from collections.abc import Collection, Mapping, Sequence
from statistics import median

from protocol.telemetry import Span
from runs.lateness import path_lateness
from runs.phases import AFTER_COLLECT
from runs.rows import CriticalPath

_BEFORE = ("plan", "keys", "shares")
_AFTER = (*AFTER_COLLECT, "apply")
_WITHIN_COLLECT = ("download", "fit", "mask", "upload")


Durations = Mapping[int, Mapping[str, float]]
"""Seconds of each client in each of its phases."""


def critical_path(
    recorded: tuple[Sequence[Span], Durations],
    window: Span | None,
    survivors: Collection[int],
    arrivals: Mapping[int, float],
) -> CriticalPath:
    """`arrivals`: the instant each client's upload was whole at the coordinator; where it saw
    none, the end of the client's own upload counts."""
    spans, durations = recorded
    ends = {s.client: s.end_s for s in spans if s.phase == "upload" and s.client in survivors}
    known = {c: arrivals.get(c, ends.get(c)) for c in survivors}
    came = {client: instant for client, instant in known.items() if instant is not None}
    last = max(came, key=lambda client: (came[client], client), default=None)
    slowest = _slowest_phase(last, durations)
    late_s = path_lateness(spans, last) if window is not None else {}
    return CriticalPath(last, slowest, _seconds(spans, window, last), late_s)


def _slowest_phase(client: int | None, durations: Durations) -> str | None:
    """Of the phases before its upload ended: unmasking comes after and cannot have delayed it."""
    mine = durations.get(client, {}) if client is not None else {}
    excess = {}
    for phase in mine.keys() - set(AFTER_COLLECT):
        others = [d[phase] for c, d in durations.items() if c != client and phase in d]
        excess[phase] = mine[phase] - (median(others) if others else 0.0)
    return max(sorted(excess), key=lambda phase: excess[phase], default=None)


def _seconds(spans: Sequence[Span], window: Span | None, last: int | None) -> dict[str, float]:
    if window is None:
        return {}
    own: dict[str, float] = {}
    for span in spans:
        if span.client is None and span.phase in (*_BEFORE, "collect", *_AFTER):
            own[span.phase] = own.get(span.phase, 0.0) + _inside(span, window)
    collect = next((s for s in reversed(spans) if s.client is None and s.phase == "collect"), None)
    seconds: dict[str, float] = {}
    seconds.update({phase: own[phase] for phase in _BEFORE if phase in own})
    if collect is not None:
        for span in spans:
            if span.client == last and last is not None and span.phase in _WITHIN_COLLECT:
                inside = _inside(span, collect)
                seconds[span.phase] = seconds.get(span.phase, 0.0) + inside
        covered = sum(seconds.get(phase, 0.0) for phase in _WITHIN_COLLECT)
        seconds["waiting"] = max(0.0, own["collect"] - covered)
    seconds.update({phase: own[phase] for phase in _AFTER if phase in own})
    seconds["other"] = max(0.0, window.end_s - window.start_s - sum(seconds.values()))
    return seconds


def _inside(span: Span, window: Span) -> float:
    return max(0.0, min(span.end_s, window.end_s) - max(span.start_s, window.start_s))
