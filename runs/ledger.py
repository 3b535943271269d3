"""Takes spans and events one by one and keeps the rows of every finished round.

A round's spans are held until the next round finishes, so that what arrives late (a client's
last phase) still counts; then only its rows stay, and the spans of the rounds worth drawing. Of a
large run not even all rows of clients stay, so that its memory does not grow with its length.
Knows no file.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from protocol.telemetry import Event, Span
from runs.derive import RoundRecord, derive
from runs.errors import RunFolderError
from runs.rows import ClientRow, RoundRow
from runs.settings import Place, RunSettings
from runs.tallies import Tally
from runs.values import text, whole

MOST_ROWS = 20_000
"""Rows of clients that are kept, about 15 MB, beside those of warm-up rounds and of the last two
rounds; of older ones only sums."""
MOST_FOLLOWED = 32
"""Clients whose keep ratios are kept for rounds whose rows are not."""


_OUTSIDE = frozenset({"join", "calibrate"})


def party(event: Event) -> int | None:
    """Whom an event is about, whether its emitter spoke of itself or named somebody."""
    return event.client if event.client is not None else whole(event.notes, "client")


@dataclass(slots=True)
class _OpenRound:
    spans: list[Span] = field(default_factory=list)
    arrivals: dict[int, float] = field(default_factory=dict)
    finished: Event | None = None
    settled: bool = False


@dataclass(slots=True)
class Ledger:
    """What a run amounts to so far."""

    settings: RunSettings
    rounds: dict[int, RoundRow] = field(default_factory=dict)
    clients: dict[int, dict[int, ClientRow]] = field(default_factory=dict)
    """By round, then client; of a large run not of all rounds."""
    tallies: dict[int, Tally] = field(default_factory=dict)
    """By client: sums over the rounds whose rows are not kept."""
    keep_ratios: dict[int, list[tuple[int, float]]] = field(default_factory=dict)
    """(round, keep ratio) in those rounds, of the first clients that pruned themselves."""
    forget: Callable[[int, Iterable[ClientRow]], None] = lambda round_, rows: None
    """Is shown the rows of a round before they are dropped, in the order of rounds."""
    places: dict[int, Place] = field(default_factory=dict)
    fidelity: dict[int | None, Event] = field(default_factory=dict)
    """The latest fidelity event of each client."""
    failures: list[Event] = field(default_factory=list)
    """`round_failed` and `client_lost`."""
    outside_s: dict[str, float] = field(default_factory=dict)
    """Seconds the slowest client spent outside rounds: joining, calibrating."""
    drawn: dict[int, Sequence[Span]] = field(default_factory=dict)
    """Spans of the last warm-up round and of the last round after it."""
    stretches: list[list[float]] = field(default_factory=list)
    """First and last instant of each stretch of the run; a resumed run has several clocks."""
    end: Event | None = None
    items: int = 0
    revised: set[int] = field(default_factory=set)
    """Rounds whose rows changed after they were finished."""
    judged: object = None
    """What somebody concluded from the warm-up rounds' rows; gone when one of them changes."""
    most_rows: int = MOST_ROWS
    _open: dict[int, _OpenRound] = field(default_factory=dict)
    _latest: int = 0
    """The last round finished in this stretch; spans of earlier ones come too late."""

    def __post_init__(self) -> None:
        self.places.update(self.settings.places)

    def add(self, item: Span | Event) -> int | None:
        """Take one item; the number of the round that it finished, if it did."""
        self.items += 1
        if type(item) is Span:
            self._add_span(item)
            return None
        return self._take_event(cast(Event, item))

    def _take_event(self, item: Event) -> int | None:
        if item.kind == "run_started":
            self._start_stretch(item)
        self._see(item.time_s, item.time_s)
        return self._add_event(item)

    def settle(self) -> None:
        """Count what arrived late for rounds that were finished already."""
        for opened in self._open.values():
            if opened.finished is not None and not opened.settled:
                self._derive(opened.finished, opened)
                opened.settled = True

    def ordered(self) -> list[RoundRow]:
        """Finished rounds in order, with the time elapsed up to each."""
        rows, elapsed_s = [], 0.0
        for key in sorted(self.rounds):
            row = self.rounds[key]
            elapsed_s += row.round_s or 0.0
            known = row.round_s is not None
            rows.append(replace(row, elapsed_s=elapsed_s if known else None))
        return rows

    def _add_span(self, span: Span) -> None:
        self._see(span.start_s, span.end_s)
        if span.phase in _OUTSIDE:
            longest = max(self.outside_s.get(span.phase, 0.0), span.end_s - span.start_s)
            self.outside_s[span.phase] = longest
        elif span.round > 0 and span.round >= self._latest:
            opened = self._open.get(span.round)
            if opened is None:
                opened = self._open[span.round] = _OpenRound()
            opened.spans.append(span)
            opened.settled = False

    def _start_stretch(self, event: Event) -> None:
        """A resumed run: what its rounds left unfinished is void, and their clock with it."""
        self.settle()
        self._open.clear()
        self._latest, self.end = 0, None
        self.stretches.append([event.time_s, event.time_s])

    def _see(self, start_s: float, end_s: float) -> None:
        if not self.stretches:
            self.stretches.append([start_s, end_s])
        stretch = self.stretches[-1]
        if start_s < stretch[0]:
            stretch[0] = start_s
        if end_s > stretch[1]:
            stretch[1] = end_s

    def _add_event(self, event: Event) -> int | None:
        client = party(event)
        match event.kind:
            case "client_joined" if client is not None:
                self._join(client, event)
            case "upload_received" if client is not None:
                self._open.setdefault(event.round, _OpenRound()).arrivals[client] = event.time_s
            case "fidelity":
                self.fidelity[client] = event
            case "client_lost":
                self.failures.append(event)
            case "round_failed":
                self.failures.append(event)
                self._open.pop(event.round, None)
            case "run_finished":
                self.end = event
            case "round_finished":
                return self._finish(event)
        return None

    def _join(self, client: int, event: Event) -> None:
        known = self.places.get(client, Place(None, None))
        self.places[client] = Place(
            text(event.notes, "device") or known.device,
            text(event.notes, "network") or known.network,
        )

    def _finish(self, event: Event) -> int:
        if event.round in self.rounds and event.round not in self.clients:
            raise RunFolderError(
                f"round {event.round} is finished once more: in a run of this size only the last "
                "rounds may be"
            )
        opened = self._open.setdefault(event.round, _OpenRound())
        opened.finished = event
        self._latest = event.round
        self.settle()
        for earlier in [r for r in self._open if r < event.round]:
            del self._open[earlier]
        self._forget()
        return event.round

    def _forget(self) -> None:
        """Fold the oldest rows into sums while there are too many."""
        kept = [r for r in self.clients if r < self._latest - 1 and not self.rounds[r].warmup]
        surplus = sum(len(self.clients[r]) for r in kept) - self.most_rows
        for round_ in kept:
            if surplus <= 0:
                return
            rows = self.clients.pop(round_)
            surplus -= len(rows)
            self.forget(round_, rows.values())
            for client, row in rows.items():
                self._fold(client, row)

    def _fold(self, client: int, row: ClientRow) -> None:
        tally = self.tallies.get(client)
        if tally is None:
            tally = self.tallies[client] = Tally()
        tally.add(row)
        if row.keep_ratio is None:
            return
        followed = self.keep_ratios.get(client)
        if followed is not None:
            followed.append((row.round, row.keep_ratio))
        elif row.keep_ratio < 1 and len(self.keep_ratios) < MOST_FOLLOWED:
            self.keep_ratios[client] = [(row.round, row.keep_ratio)]

    def _derive(self, finished: Event, opened: _OpenRound) -> None:
        round_, warmup = finished.round, self._is_warmup(finished.round)
        if round_ in self.rounds:
            self.revised.add(round_)
        if warmup or not self.settings.warmup_rounds:
            self.judged = None
        record = RoundRecord(finished, opened.spans, opened.arrivals)
        self.rounds[round_], self.clients[round_] = derive(self.settings, self.places, record)
        for earlier in [r for r in self.drawn if self._is_warmup(r) == warmup and r < round_]:
            del self.drawn[earlier]
        self.drawn[round_] = tuple(opened.spans)

    def _is_warmup(self, round_: int) -> bool:
        return round_ <= self.settings.warmup_rounds
