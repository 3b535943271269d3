"""One configuration under both clocks, and how far apart the two runs are."""

import argparse
import json
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from commands.errors import BadInput, Unstable
from commands.options import add_run_options, settings_of
from commands.settings import RunSettings
from protocol.telemetry import Json

DESCRIBE = "one run under the wall and under the virtual clock: the gap per phase"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run_options(parser)


def run(arguments: argparse.Namespace) -> None:
    if arguments.clock is not None:
        raise BadInput("--clock: clocks plays both")
    settings = settings_of(arguments)
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    out = arguments.out or Path("out") / f"{moment}-clocks"
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"--out: {out}: exists and is not empty; nothing is overwritten")
    gap = under_both(settings, out)
    (out / "gap.json").write_text(json.dumps(gap, indent=2) + "\n")
    if arguments.json:
        json.dump(gap, sys.stdout, indent=2)
        print()
    else:
        from rich.console import Console

        from runs.gap import gap_table

        title = f"{settings.profile}, {settings.strategy}, {settings.aggregation}"
        Console().print(gap_table(gap, title))
        print(f"both runs and gap.json are in {out}")
    if arguments.strict and gap["stable"] is not True:
        raise Unstable(f"{out}: the wall run was unstable")


def under_both(settings: RunSettings, out: Path) -> dict[str, Json]:
    """Play the virtual run, then the wall run, each in a folder below `out`."""
    from commands.execution import execute
    from commands.local import local_workers
    from commands.study import prepare
    from runs.gap import clock_gap

    summaries = {}
    for clock in ("virtual", "wall"):
        study = prepare(replace(settings, clock=clock))
        print(f"{clock} clock", file=sys.stderr, flush=True)
        summaries[clock] = execute(study, out / clock, local_workers(study)).summary
    return clock_gap(summaries["wall"], summaries["virtual"])
