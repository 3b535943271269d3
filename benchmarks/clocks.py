"""How far the wall clock is from the virtual one: `python -m benchmarks.clocks [--quick]`.

Plays configurations that differ in fleet, network, strategy and aggregation under both clocks and
shows the gap in round time. Figures hold for an otherwise idle machine: a run that its own host
disturbed is marked unstable.
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from commands.gap import under_both
from commands.settings import RunSettings
from protocol.telemetry import Json
from runs import words
from runs.values import items, number, table

CONFIGURATIONS: Mapping[str, Mapping[str, Any]] = {
    "mixed-20, clip-network, secagg": {},
    "mixed-20, none, plain": {"strategy": "none", "aggregation": "plain"},
    "mixed-20, clip, secagg+": {"strategy": "clip", "aggregation": "secagg+"},
    "mixed-20, exclude, secagg active": {"strategy": "exclude", "adversary": "active"},
    "uniform-20, none, secagg": {"profile": "uniform-20", "strategy": "none"},
    "cross-silo, none, secagg": {"profile": "cross-silo-8", "strategy": "none"},
    "mixed-20, none, masks ahead": {"strategy": "none", "precompute": True},
}
"""At least six, each different in what dominates a round."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two rounds of the first two")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--out", type=Path, help="keep the runs here")
    arguments = parser.parse_args()
    chosen = list(CONFIGURATIONS.items())[: 2 if arguments.quick else None]
    rounds = 2 if arguments.quick else arguments.rounds
    shown = Table(title="round time, wall against virtual")
    for column in ("configuration", "virtual", "wall", "gap, mean", "worst", "wall run"):
        shown.add_column(column, justify="left" if column == "configuration" else "right")
    with TemporaryDirectory() as folder:
        for number_, (name, changes) in enumerate(chosen):
            print(name, file=sys.stderr, flush=True)
            settings = replace(RunSettings(), rounds=rounds, **changes)
            gap = under_both(settings, (arguments.out or Path(folder)) / str(number_))
            shown.add_row(name, *_cells(gap))
    Console(width=100).print(shown)


def _cells(gap: Mapping[str, Json]) -> list[str]:
    rounds = [row for row in items(gap, "rounds") if isinstance(row, Mapping)]
    means = [
        words.seconds(sum(number(row, key) or 0.0 for row in rounds) / len(rounds))
        for key in ("virtual_s", "wall_s")
    ]
    of_rounds = table(gap, "round_gap")
    gaps = [words.share(number(of_rounds, key), 2) for key in ("mean", "max")]
    return [*means, *gaps, "stable" if gap["stable"] is True else "UNSTABLE"]


if __name__ == "__main__":
    main()
