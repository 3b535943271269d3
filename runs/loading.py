"""Reading a run folder back: its settings and all that was recorded. Knows nothing of analysis."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from protocol.telemetry import Event, Json, Span
from runs import records
from runs.errors import RunFolderError


@dataclass(frozen=True, slots=True)
class LoadedRun:
    path: Path
    config: Mapping[str, object]
    items: Sequence[Span | Event]


def load_run(path: Path) -> LoadedRun:
    """Raises RunFolderError naming file, line and rule."""
    return LoadedRun(path, load_config(path), tuple(records.read(path / "events.jsonl")))


def load_config(path: Path) -> dict[str, object]:
    if not path.is_dir():
        raise RunFolderError(f"{path}: must be a run folder")
    file = path / "config.toml"
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunFolderError(f"{file}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RunFolderError(f"{file}: must be TOML ({error})") from None


def load_summary(path: Path) -> dict[str, Json]:
    """Of a run that has ended."""
    file = path / "summary.json"
    try:
        summary = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunFolderError(f"{file}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise RunFolderError(f"{file}: must be JSON ({error})") from None
    if not isinstance(summary, dict) or summary.get("status") in (None, "running"):
        raise RunFolderError(f"{file}: must be the summary of a run that has ended")
    return summary
