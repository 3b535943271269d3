"""rounds.csv and clients.csv: the rows as whole lines of text. Knows no file."""

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
    """RFC 4180 but for the line's end; None is an empty cell; times keep nanoseconds."""
    return ",".join(map(_cell, cells)) + "\n"


def _cell(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return f"{cell:.9g}"
    text = str(cell)
    if isinstance(cell, str) and any(special in text for special in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text
