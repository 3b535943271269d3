"""rounds.csv and clients.csv: the rows as whole lines of text. Knows no file."""

import csv
import io
from collections.abc import Iterable
from dataclasses import fields

from runs.phases import NAMES
from runs.rows import ClientRow, RoundRow

_PLAIN = tuple(f.name for f in fields(RoundRow) if f.name not in ("lost", "per_client", "critical"))
ROUND_HEADER = (
    *_PLAIN,
    "lost",
    "critical_client",
    "critical_phase",
    *(f"critical_{name}_s" for name in NAMES),
)
CLIENT_HEADER = tuple(f.name for f in fields(ClientRow))


def header(columns: Iterable[str]) -> str:
    return _line(columns)


def round_line(row: RoundRow) -> str:
    lost = " ".join(f"{client}:{phase}" for client, phase in sorted(row.lost.items()))
    path = row.critical
    return _line(
        [
            *(getattr(row, name) for name in _PLAIN),
            lost,
            path.client,
            path.phase,
            *(path.seconds.get(name) for name in NAMES),
        ]
    )


def client_line(row: ClientRow) -> str:
    return _line([getattr(row, name) for name in CLIENT_HEADER])


def _line(cells: Iterable[object]) -> str:
    """None is an empty cell; times keep nanoseconds."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(_cell(cell) for cell in cells)
    return buffer.getvalue()


def _cell(cell: object) -> object:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return f"{cell:.9g}" if isinstance(cell, float) else cell
