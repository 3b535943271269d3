"""The grid of a comparison: every combination of the settings it goes through, a run for each seed.

Pure: from words of the command line to settings; knows no folder and plays nothing.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from math import prod

from commands.errors import BadInput
from commands.settings import AUTO, RunSettings, resolve

OWN_AXES = ("profile", "aggregation", "strategy")
"""The first axes of every grid, outermost first."""
MOST_RUNS = 100_000
_SINGLE = {
    "seed": "use --seeds N",
    "task": "runs of different tasks have no figure in common",
    "clock": "a table is of one clock",
}
"""Settings that a grid does not go through, and why."""
_MAY_HOLD_COMMAS = ("data", "keep_updates")


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of the grid."""

    name: str
    settings: RunSettings


@dataclass(frozen=True, slots=True)
class Grid:
    base: RunSettings
    """What is the same in all runs; of seeds the first."""
    axes: Mapping[str, tuple[object, ...]]
    """Values by setting, the first of each belonging to the baseline; outermost first."""
    seeds: int

    @property
    def compared(self) -> tuple[str, ...]:
        """Settings beside strategy and aggregation that take several values."""
        usual = ("aggregation", "strategy")
        return tuple(a for a, values in self.axes.items() if a not in usual and len(values) > 1)

    def cells(self) -> Iterator[Cell]:
        """All combinations of one seed in turn, so that a grid cut short has whole seeds."""
        for seed in range(self.base.seed, self.base.seed + self.seeds):
            for values in product(*self.axes.values()):
                chosen = dict(zip(self.axes, values, strict=True))
                settings = replace(self.base, seed=seed, **chosen)  # type: ignore[arg-type]
                if settings.clock == "virtual" and settings.training_processes is None:
                    settings = replace(settings, training_processes=1)  # a core for each run
                yield Cell(self._name(settings), settings)

    def _name(self, settings: RunSettings) -> str:
        parts = [settings.strategy, settings.aggregation]
        for axis in self.compared:
            value = getattr(settings, axis)
            parts.append(_stem(str(value)) if axis == "profile" else f"{axis}={_plain(str(value))}")
        return "-".join([*parts, f"seed{settings.seed}"])


def make_grid(base: RunSettings, lists: Mapping[str, Sequence[object]], seeds: int) -> Grid:
    """Raises BadInput for a grid that has no sense, or more runs than anybody has time for."""
    if seeds < 1:
        raise BadInput(f"--seeds: must be at least 1, got {seeds}")
    axes = {axis: tuple(lists.get(axis, (getattr(base, axis),))) for axis in OWN_AXES}
    axes |= {axis: tuple(values) for axis, values in lists.items() if axis not in OWN_AXES}
    for axis, why in _SINGLE.items():
        if axis in lists:
            raise BadInput(f"{axis}: cannot be a list: {why}")
    runs = seeds * prod(map(len, axes.values()))
    if runs > MOST_RUNS:
        raise BadInput(f"compare: {runs} runs are more than {MOST_RUNS}")
    grid = Grid(base, axes, seeds)
    names = [cell.name for cell in grid.cells()]
    if len(set(names)) < len(names):
        raise BadInput("--profile: two of the fleets have the same name")
    return grid


def read_lists(
    options: Mapping[str, str | None], sets: Sequence[str]
) -> tuple[dict[str, list[object]], list[str]]:
    """Lists of values by setting, from options (by the setting they name) and from --set; and what
    of --set is no list. Raises BadInput."""
    lists: dict[str, list[object]] = {}
    single: list[str] = []
    for axis, text in options.items():
        if text is not None:
            lists[axis] = [*names(f"--{_option(axis)}", text)]
    for item in sets:
        key, _, text = item.partition("=")
        key = key.strip().replace("-", "_")
        if "," not in text or key in _MAY_HOLD_COMMAS:
            single.append(item)
            continue
        if key in lists:
            raise BadInput(f"--set: {key}: the comparison has a list of these already")
        resolved = [resolve(None, {}, [f"{key}={value}"]) for value in names(f"--set: {key}", text)]
        lists[key] = [getattr(settings, key) for settings in resolved]
    return lists, single


def names(option: str, text: str) -> list[str]:
    found = [name.strip() for name in text.split(",")]
    if not all(found) or len(set(found)) != len(found):
        raise BadInput(f"{option}: {text!r}: must be distinct names separated by commas")
    return found


def to_values(settings: RunSettings) -> dict[str, object]:
    """As an experiment file holds them: without those that are derived."""
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    values |= {key: "auto" for key in AUTO if values[key] is None}
    return {key: value for key, value in values.items() if value is not None}


def _option(axis: str) -> str:
    return {"strategy": "strategies", "aggregation": "aggregations"}.get(axis, axis)


def _stem(reference: str) -> str:
    return _plain(reference.rsplit("/", 1)[-1].removesuffix(".toml"))


def _plain(text: str) -> str:
    """Fit for a folder's name."""
    return re.sub(r"[^A-Za-z0-9.+=_-]", "_", text)
