"""How a finished run is shown: the table, or its summary as JSON; and what --strict makes of it."""

import argparse
import json
import sys

from rich.console import Console

from commands.errors import Unstable
from commands.execution import Finished
from runs.reading import stable, verdict
from runs.table import print_closing_table


def close(finished: Finished, arguments: argparse.Namespace) -> None:
    """Raises Unstable under --strict if the host was too slow for the numbers to be trusted."""
    summary = finished.summary
    if arguments.json:
        json.dump(summary, sys.stdout, indent=2)
        print()
    else:
        print_closing_table(summary, Console(), finished.path)
        if stable(summary) is False:
            print("The host was too slow for this fleet: --time-scale 2 gives it twice the time.")
    if arguments.strict:
        check_stable(finished)


def check_stable(finished: Finished) -> None:
    """Raises Unstable."""
    if not stable(finished.summary):
        raise Unstable(f"{finished.path}: {verdict(finished.summary)}")
