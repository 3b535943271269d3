"""Making the report of run folders anew, from what they recorded."""

import argparse
from pathlib import Path

from commands.errors import BadInput

DESCRIBE = "print the closing table of finished runs and rewrite their reports"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN_DIR")


def run(arguments: argparse.Namespace) -> None:
    from rich.console import Console
    from runs.rewriting import rewrite_report

    from runs.errors import RunFolderError
    from runs.table import print_closing_table

    console = Console()
    for path in arguments.runs:
        try:
            summary = rewrite_report(path)
        except RunFolderError as error:
            raise BadInput(str(error)) from error
        print_closing_table(summary, console, path)


def _rewrite(path: Path) -> "dict[str, Json]":
    """The run's summary, and its report.html made anew. Raises RunFolderError."""
    from runs.analysis import analyse
    from runs.disk import Disk
    from runs.loading import load_run
    from runs.report import report_html
    from runs.summary import summarise
    from runs.writer import Writer

    loaded = load_run(path)
    ledger = analyse(loaded.config, loaded.items)
    status, reason = loaded.ending
    summary = summarise(ledger, path.name, status, reason)
    writer = Writer(path, Disk())
    writer.replace("report.html", [report_html(summary, ledger)])
    writer.close()
    return summary
