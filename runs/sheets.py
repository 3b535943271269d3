"""rounds.csv and clients.csv: the rows as whole lines of text. Knows no file."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any, get_args, get_type_hints

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
CLIENT_HEADER = ClientRow._fields


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
    """By a pattern for each combination of types: a large run has a hundred thousand rows."""
    cells: list[object] = list(row)
    for column in _WORDS:
        cells[column] = _said(cells[column])
    kinds = tuple(map(type, cells))
    pattern = _patterns.get(kinds)
    if pattern is None:
        pattern = _patterns[kinds] = ",".join([_PATTERN.get(kind, "%s") for kind in kinds]) + "\n"
    return pattern % tuple(cells)


_WORDS = tuple(
    index
    for index, kind in enumerate(get_type_hints(ClientRow).values())
    if {str, bool} & {kind, *get_args(kind)}
)
_PATTERN: Mapping[type, str] = {type(None): "%.0s", int: "%d", float: "%.9g", str: "%s"}
_patterns: dict[tuple[type, ...], str] = {}


def _line(cells: Iterable[object]) -> str:
    """RFC 4180 but for the line's end; None is an empty cell; times keep nanoseconds."""
    return ",".join([_said(cell) for cell in cells]) + "\n"


def _said(cell: object) -> str:
    say = _SAID.get(type(cell))
    return _text(str(cell)) if say is None else say(cell)


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
