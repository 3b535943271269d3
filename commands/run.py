"""The main job: play a fleet on this host, print the table, say where the report is."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from commands.errors import BadInput
from commands.options import add_run_options, settings_of
from commands.resumption import Lasting

DESCRIBE = "play a fleet and measure its secure rounds"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run_options(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="print the expected times per device; run nothing"
    )


def run(arguments: argparse.Namespace) -> None:
    settings = settings_of(arguments)
    from commands.study import prepare

    study = prepare(settings)
    for remark in study.remarks():
        print(remark, file=sys.stderr)
    if arguments.dry_run and arguments.json:
        raise BadInput("--json: goes with a run: a dry run has no summary")
    if arguments.dry_run:
        from commands.expectation import print_expectation

        print_expectation(study)
        return
    from commands.closing import close
    from commands.execution import default_folder, execute
    from commands.local import local_workers
    from commands.memories import Memories

    if arguments.resume:
        path = Path(arguments.resume)
        memories = Memories(path)
        lasting = Lasting.resuming(path, memories)
    else:
        path = arguments.out or default_folder(study)
        memories = Memories(path)
        lasting = Lasting(path, memories)
    study = replace(study, resumed=lasting.times)
    workers = local_workers(study, memories)
    close(execute(study, path, workers, lasting=lasting), arguments)
