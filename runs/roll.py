"""clients.csv of a run, whole and in order, from whatever of it is at hand. Knows no file."""

from collections.abc import Iterable, Iterator

from protocol.telemetry import Event, Span
from runs import sheets
from runs.ledger import Ledger
from runs.rows import ClientRow


def round_lines(rows: Iterable[ClientRow]) -> str:
    return "".join(map(sheets.client_line, rows))


def kept_lines(ledger: Ledger) -> Iterator[str]:
    """Of a ledger that has kept every row."""
    yield sheets.header(sheets.CLIENT_HEADER)
    for _, rows in sorted(ledger.clients.items()):
        yield round_lines(rows.values())


def streamed_lines(ledger: Ledger, items: Iterable[Span | Event]) -> Iterator[str]:
    """While a ledger that is still empty takes all items: never holds more rows than it does."""
    yield sheets.header(sheets.CLIENT_HEADER)
    written, dropped = 0, list[tuple[int, str]]()
    ledger.forget = lambda round_, rows: dropped.append((round_, round_lines(rows)))
    for item in items:
        ledger.add(item)
        for round_, lines in dropped:
            yield from _between(ledger, written, round_)
            yield lines
            written = round_
        dropped.clear()
    ledger.settle()
    yield from _between(ledger, written, None)


def _between(ledger: Ledger, after: int, before: int | None) -> Iterator[str]:
    for round_ in sorted(ledger.clients):
        if round_ > after and (before is None or round_ < before):
            yield round_lines(ledger.clients[round_].values())
