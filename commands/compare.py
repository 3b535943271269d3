"""A grid of runs, each under the same seeds, and one table; what was begun can be gone on with."""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from commands.engines import Played
from commands.errors import BadInput, Failure, Unstable
from commands.experiment import Lists
from commands.grid import Grid, make_grid, read_lists
from commands.options import NAMED, add_run_options, experiment_of, settings_of
from commands.settings import checked
from commands.sweep import Sweep, listed

if TYPE_CHECKING:
    from rich.progress import Progress

    from commands.engines import Engine

DESCRIBE = "run strategies (and other settings) under the same seeds; one table"
_WITH_RESUME = ("command", "engine", "jobs", "json", "strict", "resume")
"""Options that say nothing about what is played."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--strategies", metavar="A,B,...", help="baseline first")
    parser.add_argument("--aggregations", metavar="A,B,...", help="likewise; default: the run's")
    parser.add_argument("--seeds", type=int, metavar="N", help="seeds per row (1)")
    parser.add_argument("--target", type=float, metavar="X", help="metric whose time is compared")
    parser.add_argument("--engine", choices=("local", "ray"), default="local")
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="runs at a time (virtual clock: all cores; wall: 1)"
    )
    add_run_options(parser)


def run(arguments: argparse.Namespace) -> None:
    if arguments.resume:
        sweep = _reopened(arguments)
        engine = _engine(arguments, sweep.grid.base.clock)
    else:
        grid = grid_of(arguments)
        engine = _engine(arguments, grid.base.clock)
        sweep = _created(grid, arguments)
    conclude(sweep, _play(sweep, engine), arguments)


def conclude(sweep: Sweep, failed: Sequence[Played], arguments: argparse.Namespace) -> None:
    """The table over what is finished; raises Failure if some is not."""
    _show(sweep, arguments)
    if failed:
        first = failed[0]
        raise Failure(
            f"{len(failed)} of {len(sweep.cells)} runs failed, first {first.cell.name}:"
            f" {first.fault}; compare --resume {sweep.path} tries them again"
        )


def grid_of(arguments: argparse.Namespace) -> Grid:
    """Raises BadInput."""
    stated = _stated(arguments)
    if arguments.strategies is None and "strategy" not in stated.axes:
        raise BadInput(
            "compare: --strategies A,B,..., an --experiment that lists them, or --resume DIR:"
            " one of them is required"
        )
    options = {
        "strategy": arguments.strategies,
        "aggregation": arguments.aggregations,
        "profile": arguments.profile,
    }
    lists, arguments.set = read_lists(options, arguments.set)
    arguments.profile = None
    lists = _without_single(stated.axes, arguments) | lists
    if arguments.target is None:
        arguments.target = stated.target
    seeds = stated.seeds if arguments.seeds is None else arguments.seeds
    return make_grid(settings_of(arguments), lists, 1 if seeds is None else seeds)


def _stated(arguments: argparse.Namespace) -> Lists:
    """The lists of the experiment, at the size that is asked for. Raises BadInput."""
    experiment = experiment_of(arguments)
    if experiment is None:
        return Lists()
    stated = experiment.lists(arguments.quick)
    where = f"{experiment.path}: compare"
    axes = {key: checked(where, key, values) for key, values in stated.axes.items()}
    return replace(stated, axes=axes)


def _without_single(
    axes: Mapping[str, list[object]], arguments: argparse.Namespace
) -> dict[str, list[object]]:
    """What the command line gives one value to is not gone through."""
    single = {item.partition("=")[0].strip().replace("-", "_") for item in arguments.set}
    single |= {name for name in NAMED if getattr(arguments, name, None) is not None}
    return {key: values for key, values in axes.items() if key not in single}


def _created(grid: Grid, arguments: argparse.Namespace) -> Sweep:
    _check(grid)
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    fleet = Path(str(grid.axes["profile"][0])).stem
    return Sweep.create(
        arguments.out or Path("out") / f"{moment}-compare-{fleet}", grid, arguments.target
    )


def _reopened(arguments: argparse.Namespace) -> Sweep:
    given = vars(arguments)
    defaults = argparse.ArgumentParser()
    add_arguments(defaults)
    for option, default in vars(defaults.parse_args([])).items():
        if option not in _WITH_RESUME and given[option] != default:
            name = option.replace("_", "-")
            raise BadInput(f"--{name}: goes with a new comparison, not with --resume")
    return Sweep.reopen(Path(arguments.resume))


def _check(grid: Grid) -> None:
    """All runs, before the first of them takes any time. Seeds change nothing about being right."""
    from commands.study import prepare

    remarks: list[str] = []
    for cell in grid.cells():
        if cell.settings.seed != grid.base.seed:
            break
        remarks += prepare(cell.settings).remarks()
    for remark in dict.fromkeys(remarks):
        print(remark, file=sys.stderr)


def _engine(arguments: argparse.Namespace, clock: str) -> "Engine":
    wall = clock == "wall"
    if arguments.jobs is not None and arguments.jobs < 1:
        raise BadInput(f"--jobs: must be at least 1, got {arguments.jobs}")
    if wall and (arguments.jobs or 1) > 1:
        raise BadInput("--jobs: runs in wall time would slow one another down: one at a time")
    if arguments.engine == "ray":
        from commands.cluster import Ray

        return Ray(alone=wall)
    from commands.engines import Local

    return Local(arguments.jobs or (1 if wall else os.cpu_count() or 1))


def _play(sweep: Sweep, engine: "Engine") -> list[Played]:
    """Play what is not finished yet; those that failed."""
    failed = []
    with sweep.scratch() as scratch:
        done = {cell.name for cell in sweep.finished()}
        left = [cell for cell in sweep.cells if cell.name not in done]
        with _progress() as progress:
            task = progress.add_task("", total=len(sweep.cells), completed=len(done))
            _say(progress, _opening(sweep, len(left)))
            for played in engine.play(left, scratch):
                cell, fault = played.cell, played.fault
                if fault is None:
                    sweep.keep(cell, scratch)
                else:
                    fault = sweep.set_aside(cell, fault, scratch)
                    failed.append(Played(cell, fault))
                progress.advance(task)
                number = int(progress.tasks[0].completed)
                said = cell.name if fault is None else f"{cell.name}: {fault}"
                _say(progress, f"[{number}/{len(sweep.cells)}] {said}")
    return failed


def _opening(sweep: Sweep, left: int) -> str:
    what = listed({"seed": range(sweep.grid.seeds), **sweep.grid.axes}) or "one run"
    return f"{sweep.path}: {what}: {left} of {len(sweep.cells)} runs to play"


def _progress() -> "Progress":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    return Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def _say(progress: "Progress", line: str) -> None:
    """A line above the bar; alone where there is none."""
    if progress.disable:
        print(line, file=sys.stderr, flush=True)
    else:
        progress.console.print(line, highlight=False, markup=False)


def _show(sweep: Sweep, arguments: argparse.Namespace) -> None:
    if not sweep.finished():
        return
    from rich.console import Console

    from runs.comparison_table import print_comparison
    from runs.values import items

    comparison = sweep.compare()
    if arguments.json:
        json.dump(comparison, sys.stdout, indent=2)
        print()
    else:
        print_comparison(comparison, Console())
        print(f"runs and comparison.json are in {sweep.path}")
    rows = [row for row in items(comparison, "rows") if isinstance(row, dict)]
    if arguments.strict and not all(row["stable"] for row in rows):
        raise Unstable(f"{sweep.path}: at least one run was unstable")
