"""Reading a run folder back: its settings and all that was recorded. Knows nothing of analysis."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from protocol.telemetry import Event, Span
from runs import records
from runs.errors import RunFolderError


@dataclass(frozen=True, slots=True)
class LoadedRun:
    path: Path
    config: Mapping[str, object]
    items: Sequence[Span | Event]


def load_run(path: Path) -> LoadedRun:
    """Raises RunFolderError naming file, line and rule."""
    if not path.is_dir():
        raise RunFolderError(f"{path}: must be a run folder")
    return LoadedRun(path, load_config(path), tuple(records.read(path / "events.jsonl")))


def load_config(path: Path) -> dict[str, object]:
    file = path / "config.toml"
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunFolderError(f"{file}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RunFolderError(f"{file}: must be TOML ({error})") from None
