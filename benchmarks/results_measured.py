"""What the results page takes from finished comparisons: figures of each run beside its baseline's.

Reads folders of comparisons and their runs; knows no page. What was not measured is None.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import stdev

from commands.grid import Cell, Grid
from commands.sweep import Sweep
from runs.comparison import TARGET_SHARE
from runs.loading import load_summary
from runs.values import flag, items, mean, number, table, text, whole

Summary = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean over seeds, and the sample standard deviation where there are several."""

    mean: float
    deviation: float | None
    count: int


def spread(values: list[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    middle = mean(known)
    if middle is None:
        return None
    return Spread(middle, stdev(known) if len(known) > 1 else None, len(known))


@dataclass(frozen=True, slots=True)
class Metric:
    """What a study's models are judged by."""

    name: str
    unit: str | None
    """None: a share, whose changes are told in points."""
    lower_is_better: bool

    @classmethod
    def of(cls, summary: Summary) -> "Metric":
        found = table(summary, "metric")
        lower = flag(found, "lower_is_better") or False
        return cls(text(found, "name") or "metric", text(found, "unit"), lower)

    @property
    def of_changes(self) -> str:
        return self.unit or "points"

    def change(self, value: float) -> float:
        return value if self.unit else 100 * value

    def reaches(self, value: float, target: float) -> bool:
        return value <= target if self.lower_is_better else value >= target

    def target(self, final: float) -> float:
        """0.95 of the way there, or, where lower is better, as much above."""
        return final / TARGET_SHARE if self.lower_is_better else final * TARGET_SHARE


@dataclass(frozen=True, slots=True)
class Played:
    """A finished run, and the baseline's of the same seed, fleet and settings if there is one."""

    cell: Cell
    path: Path
    summary: Summary
    base: Summary | None

    @property
    def round_s(self) -> float | None:
        return number(table(self.summary, "round_s"), "mean")

    @property
    def saved(self) -> float | None:
        """Share of the baseline's round time."""
        other = number(table(self.base, "round_s"), "mean") if self.base else None
        return None if self.round_s is None or not other else 1 - self.round_s / other

    @property
    def metric(self) -> float | None:
        return number(table(self.summary, "metric"), "final")

    @property
    def metric_change(self) -> float | None:
        other = number(table(self.base, "metric"), "final") if self.base else None
        return None if self.metric is None or other is None else self.metric - other

    @property
    def bound(self) -> float | None:
        """1 - T(slowest other)/T(straggler), of the unpruned rounds."""
        return number(table(self.summary, "speedup"), "bound")

    def own_metric(self, clients: list[int]) -> float | None:
        """Mean of the metric on these clients' own mix of labels."""
        return _own(self.summary, clients)

    def own_change(self, clients: list[int]) -> float | None:
        mine, other = self.own_metric(clients), _own(self.base, clients) if self.base else None
        return None if mine is None or other is None else mine - other

    @property
    def stragglers(self) -> list[int]:
        """By the baseline's rounds, so that a seed has the same ones under every strategy."""
        return sorted(_stragglers(self.base or self.summary))

    def keep_ratio(self, client: int) -> float | None:
        """Mean after warm-up."""
        return _stragglers(self.summary).get(client)

    @property
    def idle_share(self) -> float | None:
        """Of the time in finished rounds, over all devices."""
        devices = [d for d in items(self.summary, "devices") if isinstance(d, dict)]
        idle = sum(number(d, "idle_s") or 0.0 for d in devices)
        busy = sum(number(d, "busy_s") or 0.0 for d in devices)
        return idle / (idle + busy) if idle + busy else None

    def critical_share(self, clients: list[int]) -> float | None:
        """Share of the rounds after warm-up that waited for one of these."""
        points = [p for p in items(self.summary, "curve") if isinstance(p, dict)]
        after = [whole(p, "critical_client") for p in points if not flag(p, "warmup")]
        return mean([float(client in clients) for client in after])

    @property
    def last_upload(self) -> float | None:
        """Real bytes of a client in the last round, over those of its weights, dense."""
        found = self.summary["sparsity"]
        return number(found, "last_upload") if isinstance(found, dict) else None

    def times_fewer(self, count: str) -> float | None:
        """Bytes of dense weights both ways, over those by this count (`real`, `source_metric`)."""
        found = self.summary["sparsity"]
        counts = table(found, "bytes") if isinstance(found, dict) else {}
        sums = [_both(counts, name) for name in ("dense", count)]
        return None if not all(sums) else (sums[0] or 0.0) / (sums[1] or 1.0)

    @property
    def phase_s(self) -> Mapping[str, object]:
        return table(self.summary, "phase_s")

    def prediction_errors(self) -> list[float]:
        """Of every pruned fit: what was predicted over what it took, less one."""
        with (self.path / "clients.csv").open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["predicted_s"] and row["fit_s"]]
        network = self.cell.settings.strategy == "clip-network"
        found = []
        for row in rows:
            took = float(row["fit_s"]) + (float(row["network_s"] or 0.0) if network else 0.0)
            if float(row["keep_ratio"] or 1) < 1:
                found.append(float(row["predicted_s"]) / took - 1)
        return found


def _both(counts: Summary, name: str) -> float | None:
    ways = table(counts, name)
    up, down = number(ways, "up"), number(ways, "down")
    return None if up is None or down is None else up + down


def _own(summary: Summary, clients: list[int]) -> float | None:
    values = items(table(summary, "metric"), "per_client")
    chosen = [values[client] for client in clients if client < len(values)]
    return mean([float(value) for value in chosen if isinstance(value, int | float)])


def _stragglers(summary: Summary) -> dict[int, float | None]:
    listed = [entry for entry in items(summary, "stragglers") if isinstance(entry, dict)]
    return {whole(entry, "client") or 0: number(entry, "keep_ratio") for entry in listed}


class Study:
    """A comparison as far as it is played."""

    def __init__(self, path: Path) -> None:
        self.sweep = Sweep.reopen(path)
        self.name = path.name
        self._runs = {cell.name: load_summary(path / cell.name) for cell in self.sweep.finished()}

    @property
    def grid(self) -> Grid:
        return self.sweep.grid

    @property
    def baseline(self) -> tuple[str, object]:
        """The axis along which runs are compared, and where on it the baseline is: dense training
        where sparsities are gone through, else the first of what else there are several of,
        strategies before all."""
        if 0.0 in self.grid.axes.get("sparsity", ()):
            return "sparsity", 0.0
        several = [axis for axis, values in self.grid.axes.items() if len(values) > 1]
        along = "strategy" if "strategy" in several or not several else several[0]
        return along, self.grid.axes[along][0]

    def runs(self) -> Iterator[Played]:
        for cell in self.sweep.cells:
            if cell.name in self._runs:
                path = self.sweep.path / cell.name
                yield Played(cell, path, self._runs[cell.name], self._baseline_of(cell))

    def _baseline_of(self, cell: Cell) -> Summary | None:
        """The same but for that axis."""
        along, first = self.baseline
        for other in self.sweep.cells:
            same = all(
                getattr(other.settings, axis) == getattr(cell.settings, axis)
                for axis in (*self.grid.axes, "seed")
                if axis != along
            )
            if same and getattr(other.settings, along) == first:
                return self._runs.get(other.name)
        return None

    def rows(self) -> dict[tuple[object, ...], list[Played]]:
        """Runs of all seeds by the values of the axes, in the grid's order."""
        found: dict[tuple[object, ...], list[Played]] = {}
        for run in self.runs():
            key = tuple(getattr(run.cell.settings, axis) for axis in self.grid.axes)
            found.setdefault(key, []).append(run)
        return found
