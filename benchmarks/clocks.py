"""How far the wall clock is from the virtual one: `python -m benchmarks.clocks [--only TEXT]`.

Plays configurations that differ in fleet, network, strategy and aggregation under both clocks and
shows the gap in round time. Figures hold for an otherwise idle machine: a run that its own host
disturbed is marked unstable. All of it takes about a quarter of an hour.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
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

FLEETS: Mapping[str, Sequence[tuple[int, str, str]]] = {
    "six phones": ((4, "galaxy-note10", "mobile-world"), (2, "pixel2", "4g-india-loaded")),
    "at home": ((4, "galaxy-note10", "fixed-world"), (1, "pixel2", "fixed-world")),
    "on the road": ((3, "galaxy-note10", "4g-ghent"), (2, "galaxy-note10", "verizon-lte")),
}
"""Members as (count, device, network): so few, and so slow at training, that two quiet cores keep
up with all of them at once."""
CONFIGURATIONS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "clip-network, secagg": ("six phones", {}),
    "none, plain": ("six phones", {"strategy": "none", "aggregation": "plain"}),
    "exclude, secagg active": ("six phones", {"strategy": "exclude", "adversary": "active"}),
    "none, masks ahead": ("six phones", {"strategy": "none", "precompute": True}),
    "clip, plain": ("at home", {"strategy": "clip", "aggregation": "plain"}),
    "none, secagg": ("at home", {"strategy": "none"}),
    "none, secagg, on traces": ("on the road", {"strategy": "none"}),
}
"""At least six, each different in what dominates a round."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="TEXT", help="configurations whose name holds this")
    parser.add_argument("--quick", action="store_true", help="two rounds of the first two")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="keep the runs here")
    arguments = parser.parse_args()
    named = {f"{fleet}: {name}": each for name, (fleet, each) in CONFIGURATIONS.items()}
    chosen = [(n, c) for n, c in named.items() if (arguments.only or "") in n]
    if not chosen:
        parser.error(f"--only: no configuration's name holds {arguments.only!r}")
    rounds = 2 if arguments.quick else arguments.rounds
    shown = Table(title="round time, wall against virtual")
    for column in ("configuration", "virtual", "wall", "gap, mean", "worst", "wall run"):
        shown.add_column(column, justify="left" if column == "configuration" else "right")
    with TemporaryDirectory() as folder:
        for number_, (name, changes) in enumerate(chosen[: 2 if arguments.quick else None]):
            print(name, file=sys.stderr, flush=True)
            profile = _fleet(Path(folder), name.partition(":")[0])
            settings = replace(RunSettings(), profile=profile, rounds=rounds, **changes)
            gap = under_both(settings, (arguments.out or Path(folder)) / str(number_))
            shown.add_row(name, *_cells(gap))
    Console(width=100).print(shown)


def _fleet(folder: Path, name: str) -> str:
    members = [
        f'[[members]]\ncount = {count}\ndevice = "{device}"\nnetwork = "{network}"\n'
        for count, device, network in FLEETS[name]
    ]
    path = folder / f"{name.replace(' ', '-')}.toml"
    path.write_text(f'title = "{name}"\n' + "".join(members))
    return str(path)


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
