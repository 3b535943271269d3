"""A run's analysis from its config and items: one pure function for whoever did not record it."""

from collections.abc import Iterable, Mapping

from protocol.telemetry import Event, Json, Span
from runs.ledger import Ledger
from runs.loading import LoadedRun
from runs.settings import read_settings
from runs.summary import summarise
from runs.values import text

STATUSES = ("finished", "interrupted", "failed")


def analyse(config: Mapping[str, object], items: Iterable[Span | Event]) -> Ledger:
    """The same rows as the run's own folder held; `summary.summarise` condenses them."""
    ledger = Ledger(read_settings(config))
    for item in items:
        ledger.add(item)
    ledger.settle()
    return ledger


def ending(ledger: Ledger) -> tuple[str, str | None]:
    """Status and reason; a run that never said how it ended was interrupted."""
    notes = ledger.end.notes if ledger.end is not None else {}
    status = text(notes, "status")
    if status not in STATUSES:
        return "interrupted", "the run was cut off"
    return status, text(notes, "reason")


def summarise_run(run: LoadedRun) -> tuple[Ledger, dict[str, Json]]:
    ledger = analyse(run.config, run.items)
    return ledger, summarise(ledger, run.path.name, *ending(ledger))
