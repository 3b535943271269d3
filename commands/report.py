"""Making the files of run folders anew from what they recorded, and showing the closing table."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from commands.errors import BadInput
from commands.sweep import Sweep, is_sweep

if TYPE_CHECKING:
    from rich.console import Console

DESCRIBE = "show the table of run folders and make their reports anew"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN_DIR")


def run(arguments: argparse.Namespace) -> None:
    from rich.console import Console

    from runs.errors import RunFolderError
    from runs.folder import rebuild
    from runs.table import print_closing_table

    console = Console()
    for path in arguments.runs:
        if is_sweep(path):
            _show_sweep(path, console)
            continue
        try:
            summary = rebuild(path)
        except RunFolderError as error:
            raise BadInput(str(error)) from error
        print_closing_table(summary, console, path)


def _show_sweep(path: Path, console: "Console") -> None:
    """The table over the runs of a comparison that are finished."""
    from runs.comparison_table import print_comparison

    print_comparison(Sweep.reopen(path).compare(), console)
