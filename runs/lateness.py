"""By how much the emulation's own lateness may have lengthened a round, phase by phase.

Every party notes in each of its phases by how much it was held up there: by releases that came
late while it waited for them, and by computation that took the host longer than the device. An
emulator is never early, so a round was lengthened, never shortened; and a phase that waits for
everybody was lengthened by no more than whoever was held up most in it. Pure; knows no bound.
"""

from collections.abc import Mapping, Sequence

from protocol.telemetry import Span
from runs.phases import AFTER_COLLECT
from runs.values import number

_WAITS_FOR_ALL = ("keys", "shares", *AFTER_COLLECT)
_COORDINATORS = ("plan", *_WAITS_FOR_ALL, "apply")
_OF_THE_LAST = ("download", "fit", "mask", "upload")


def path_lateness(spans: Sequence[Span], last: int | None) -> dict[str, float]:
    """At most so many seconds of each phase of the critical path; `last` is the client whose
    upload was whole last: whatever held up others, they were there before it. Empty where nobody
    noted any lateness."""
    noted = [(span, number(span.notes, "late_s")) for span in spans if span.notes]
    known = [(span, late_s) for span, late_s in noted if late_s is not None]
    late: dict[str, float] = {}
    for phase in _WAITS_FOR_ALL:
        everybody = _by_client(known, phase)
        if everybody:
            late[phase] = max(everybody.values())
    for phase in _OF_THE_LAST:
        if last is not None and last in (mine := _by_client(known, phase)):
            late[phase] = mine[last]
    for span, late_s in known:
        if span.client is None and span.phase in (*_COORDINATORS, "collect"):
            phase = "waiting" if span.phase == "collect" else span.phase
            late[phase] = late.get(phase, 0.0) + late_s
    return late


def _by_client(known: Sequence[tuple[Span, float]], phase: str) -> Mapping[int, float]:
    found: dict[int, float] = {}
    for span, late_s in known:
        if span.client is not None and span.phase == phase:
            found[span.client] = found.get(span.client, 0.0) + late_s
    return found
