"""Several strategies (and aggregations) under the same seeds, run in turn; one table at the end."""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from commands.errors import BadInput, Unstable, not_built_yet
from commands.options import add_run_options, settings_of
from commands.settings import RunSettings

if TYPE_CHECKING:
    from commands.study import Study

DESCRIBE = "run strategies in turn under the same seeds; one table"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--strategies", required=True, metavar="A,B,...", help="baseline first")
    parser.add_argument("--aggregations", metavar="A,B,...", help="likewise; default: the run's")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="seeds per row (1)")
    parser.add_argument("--target", type=float, metavar="X", help="metric whose time is compared")
    parser.add_argument("--engine", choices=("local", "ray"), default="local")
    add_run_options(parser)


def run(arguments: argparse.Namespace) -> None:
    if arguments.engine != "local":
        raise not_built_yet(f"--engine {arguments.engine}")
    if arguments.seeds < 1:
        raise BadInput(f"--seeds: must be at least 1, got {arguments.seeds}")
    settings = settings_of(arguments)
    from commands.study import prepare

    studies = [prepare(variant) for variant in variants(settings, arguments)]
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    out = arguments.out or Path("out") / f"{moment}-compare-{studies[0].fleet.name}"
    _show(_play_all(studies, out), arguments, out)


def variants(settings: RunSettings, arguments: argparse.Namespace) -> Iterator[RunSettings]:
    """A run for each seed, aggregation and strategy; all strategies of one seed in turn, so that
    an interrupted comparison has whole seeds."""
    strategies = _names("--strategies", arguments.strategies)
    aggregations = _names("--aggregations", arguments.aggregations or settings.aggregation)
    for seed in range(settings.seed, settings.seed + arguments.seeds):
        for aggregation in aggregations:
            for strategy in strategies:
                yield replace(settings, strategy=strategy, aggregation=aggregation, seed=seed)


def _names(option: str, text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len(set(names)) != len(names):
        raise BadInput(f"{option}: {text!r}: must be distinct names separated by commas")
    return names


def _play_all(studies: "list[Study]", out: Path) -> list[Path]:
    from commands.execution import execute
    from commands.local import local_workers

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"--out: {out}: exists and is not empty; nothing is overwritten")
    paths = []
    for number, study in enumerate(studies, 1):
        chosen = study.settings
        name = f"{chosen.strategy}-{chosen.aggregation}-seed{chosen.seed}"
        print(f"[{number}/{len(studies)}] {name}", file=sys.stderr, flush=True)
        paths.append(execute(study, out / name, local_workers(study)).path)
    return paths


def _show(paths: list[Path], arguments: argparse.Namespace, out: Path) -> None:
    from rich.console import Console

    from runs.comparison import compare
    from runs.comparison_table import print_comparison
    from runs.errors import ComparisonError
    from runs.loading import load_run
    from runs.values import items

    try:
        comparison = compare([load_run(path) for path in paths], target=arguments.target)
    except ComparisonError as error:
        raise BadInput(str(error)) from error
    (out / "comparison.json").write_text(json.dumps(comparison, indent=2) + "\n")
    if arguments.json:
        json.dump(comparison, sys.stdout, indent=2)
        print()
    else:
        print_comparison(comparison, Console())
        print(f"runs and comparison.json are in {out}")
    rows = [row for row in items(comparison, "rows") if isinstance(row, dict)]
    if arguments.strict and not all(row["stable"] for row in rows):
        raise Unstable(f"{out}: at least one run was unstable")
