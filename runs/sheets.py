"""rounds.csv and clients.csv: the rows as whole lines of text. Knows no file."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from operator import attrgetter
from typing import Any

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


_SPECIAL = re.compile('[,"\r\n]')


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
    return _line(_client_cells(row))


_client_cells = attrgetter(*CLIENT_HEADER)


def _line(cells: Iterable[object]) -> str:
    """RFC 4180 but for the line's end; None is an empty cell; times keep nanoseconds."""
    return (
        ",".join([_SAID[type(c)](c) if type(c) in _SAID else _text(str(c)) for c in cells]) + "\n"
    )


def _text(text: str) -> str:
    if _SPECIAL.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


_SAID: Mapping[type, Callable[[Any], str]] = {
    type(None): lambda cell: "",
    bool: lambda cell: "true" if cell else "false",
    int: str,
    float: "{:.9g}".format,
    str: _text,
}
