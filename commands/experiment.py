"""An experiment file: settings for one run, lists for a comparison, and a quick size of both.

    title = "..."          one line; `cost`, likewise: what the full size takes
    task = "femnist"       any setting
    [compare]              lists (strategies, aggregations, profiles, any setting), seeds, target
    [quick]                settings that --quick changes
    [quick.compare]        and entries of [compare] that it changes

Only the file's form is judged here; what a setting may be is `commands.settings`' business.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from commands.errors import BadInput

EXPERIMENTS = Path(__file__).parent.parent / "profiles" / "experiments"
_AXES = {"strategies": "strategy", "aggregations": "aggregation", "profiles": "profile"}
_WORDS = ("title", "cost")


@dataclass(frozen=True, slots=True)
class Lists:
    """What a comparison goes through; None: the file does not say."""

    axes: Mapping[str, list[Any]] = field(default_factory=dict)
    """Values by setting, unchecked."""
    seeds: int | None = None
    target: float | None = None


@dataclass(frozen=True, slots=True)
class Experiment:
    path: Path
    settings: Mapping[str, Any]
    quick: Mapping[str, Any]
    """Changes to the settings, likewise unchecked."""
    full_lists: Lists
    quick_lists: Lists
    has_quick: bool

    def lists(self, quick: bool) -> Lists:
        full, changed = self.full_lists, self.quick_lists
        if not quick:
            return full
        return Lists(
            {**full.axes, **changed.axes},
            full.seeds if changed.seeds is None else changed.seeds,
            full.target if changed.target is None else changed.target,
        )


def find_experiment(name: str) -> Path:
    """A shipped experiment by name, or a file. Raises BadInput."""
    shipped = EXPERIMENTS / f"{name}.toml"
    path = shipped if shipped.exists() else Path(name)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in EXPERIMENTS.glob("*.toml"))) or "none"
        raise BadInput(f"--experiment: {name}: no such experiment or file (shipped: {known})")
    return path


def read_experiment(path: Path) -> Experiment:
    """Raises BadInput naming file, key and rule."""
    try:
        held = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{path}: not readable as TOML: {error}") from error
    for word in _WORDS:
        if not isinstance(held.pop(word, ""), str):
            raise BadInput(f"{path}: {word}: must be text")
    has_quick = "quick" in held
    quick = _table(path, held, "quick")
    full_lists = _lists(path, "compare", _table(path, held, "compare"))
    quick_lists = _lists(path, "quick.compare", _table(path, quick, "compare"))
    return Experiment(path, held, quick, full_lists, quick_lists, has_quick)


def _table(path: Path, holder: dict[str, Any], key: str) -> dict[str, Any]:
    found = holder.pop(key, {})
    if not isinstance(found, dict):
        raise BadInput(f"{path}: {key}: must be a table")
    return found


def _lists(path: Path, where: str, entries: dict[str, Any]) -> Lists:
    seeds, target = entries.pop("seeds", None), entries.pop("target", None)
    if seeds is not None and (type(seeds) is not int or seeds < 1):
        raise BadInput(f"{path}: {where}.seeds: must be an integer of at least 1, got {seeds!r}")
    if target is not None and type(target) not in (int, float):
        raise BadInput(f"{path}: {where}.target: must be a number, got {target!r}")
    axes: dict[str, list[Any]] = {}
    for key, values in entries.items():
        if not isinstance(values, list) or not values:
            raise BadInput(f"{path}: {where}.{key}: must be a list of values, got {values!r}")
        if any(value in values[:index] for index, value in enumerate(values)):
            raise BadInput(f"{path}: {where}.{key}: holds a value twice")
        axes[_AXES.get(key, key)] = values
    return Lists(axes, seeds, target)
