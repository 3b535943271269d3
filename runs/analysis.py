"""A run's analysis from its config and items: one pure function for whoever did not record it."""

from collections.abc import Iterable, Mapping

from protocol.telemetry import Event, Span
from runs.ledger import Ledger
from runs.settings import read_settings


def analyse(config: Mapping[str, object], items: Iterable[Span | Event]) -> Ledger:
    """The same rows as the run's own folder held; `summary.summarise` condenses them."""
    ledger = Ledger(read_settings(config))
    for item in items:
        ledger.add(item)
    ledger.settle()
    return ledger
