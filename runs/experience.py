"""What each client went through, round by round, as a run's events tell it: when its rounds began,
its phases with their bytes and by how much the emulation held it up, its absences and losses.

One pass over the events, so that a large run need not be in memory. Knows nothing of devices,
links or what anything should have taken.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from protocol.telemetry import Event, Json, Span
from runs.phases import CLIENT_PHASES

_WITHIN_COLLECT = ("download", "fit", "mask", "upload")
"""What the coordinator sees as one phase, in order."""
_MEASURED = ("fit", "mask", "download", "upload")
"""Phases that a client spends on nothing but its own computing or its own transfer."""


@dataclass(frozen=True, slots=True)
class Lived:
    """One phase of a client: the whole of it."""

    seconds: float
    late_s: float | None
    """By how much the emulation held it up; None where nothing is emulated."""
    bytes_up: int
    bytes_down: int
    work: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Loss:
    time_s: float
    round: int
    phase: str
    """In which the client was, as near as its own spans tell."""
    reason: str


@dataclass(slots=True)
class Story:
    """Of one client; times as in the log."""

    began_s: float | None = None
    """When it set out to join: its device was made then."""
    device: str | None = None
    network: str | None = None
    rounds: dict[int, float] = field(default_factory=dict)
    """When each round began for it; for those that it took part in."""
    last_s: dict[int, float] = field(default_factory=dict)
    """When the last phase of a round ended that it began."""
    phases: dict[tuple[int, str], Lived] = field(default_factory=dict)
    away: list[tuple[float, bool]] = field(default_factory=list)
    """(when, whether it was there from then on), as its device said."""
    back: list[float] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)


@dataclass(slots=True)
class Experience:
    began_s: float = 0.0
    ended_s: float = 0.0
    elsewhere: bool = False
    """Whether its devices were made whenever they joined; else all were as the run began."""
    rounds: dict[int, float] = field(default_factory=dict)
    """When the coordinator began each."""
    clients: dict[int, Story] = field(default_factory=dict)


def read_experience(items: Iterable[Span | Event]) -> Experience:
    found = Experience()
    for item in items:
        if isinstance(item, Span):
            found.ended_s = max(found.ended_s, item.end_s)
            _add_span(found, item)
        else:
            found.ended_s = max(found.ended_s, item.time_s)
            _add_event(found, item)
    for story in found.clients.values():  # only now: telemetry may come after what it explains
        story.losses = [replace(loss, phase=_phase(story, loss)) for loss in story.losses]
    return found


def _add_span(found: Experience, span: Span) -> None:
    if span.client is None:
        if span.phase == "round":
            found.rounds[span.round] = span.start_s
        return
    story = found.clients.setdefault(span.client, Story())
    if span.phase == "join" and story.began_s is None:
        story.began_s = span.start_s
    if span.phase not in CLIENT_PHASES or span.round < 1:
        return
    began_s = story.rounds.get(span.round, span.start_s)
    story.rounds[span.round] = min(began_s, span.start_s)
    story.last_s[span.round] = max(story.last_s.get(span.round, span.end_s), span.end_s)
    if span.phase in _MEASURED and "failed" not in span.notes:
        late_s = span.notes.get("late_s")
        late_s = float(late_s) if isinstance(late_s, int | float) else None
        seconds = span.end_s - span.start_s
        work = _work(span.notes.get("work"))
        lived = Lived(seconds, late_s, span.bytes_up, span.bytes_down, work)
        story.phases[span.round, span.phase] = lived


def _work(noted: Json) -> dict[str, float]:
    if not isinstance(noted, Mapping):
        return {}
    return {key: float(n) for key, n in noted.items() if isinstance(n, int | float)}


def _add_event(found: Experience, event: Event) -> None:
    if event.kind == "run_started":
        found.began_s = event.time_s
    if event.client is None:
        return
    story = found.clients.setdefault(event.client, Story())
    if event.kind == "client_joined":
        device, network = event.notes.get("device"), event.notes.get("network")
        story.device = device if isinstance(device, str) else story.device
        story.network = network if isinstance(network, str) else story.network
    elif event.kind in ("device_away", "device_back"):
        story.away.append((event.time_s, event.kind == "device_back"))
    elif event.kind == "client_back":
        story.back.append(event.time_s)
    elif event.kind == "client_lost":
        phase, reason = str(event.notes.get("phase")), str(event.notes.get("reason"))
        story.losses.append(Loss(event.time_s, event.round, phase, reason))


def _phase(story: Story, loss: Loss) -> str:
    """What the coordinator sees as one phase is four: the one after the last that was finished."""
    if loss.phase != "collect":
        return loss.phase
    finished = [n for n, p in enumerate(_WITHIN_COLLECT) if (loss.round, p) in story.phases]
    following = max(finished, default=-1) + 1
    return _WITHIN_COLLECT[min(following, len(_WITHIN_COLLECT) - 1)]
