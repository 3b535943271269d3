"""The main job: play a fleet on this host, print the table, say where the report is."""

import argparse
import sys

from commands.errors import BadInput
from commands.options import add_run_options, settings_of

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
    from commands.execution import execute
    from commands.local import local_workers

    close(execute(study, arguments.out, local_workers(study)), arguments)
