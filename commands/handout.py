"""Giving out identities for runs between machines against an active coordinator."""

import argparse
from pathlib import Path

from commands.errors import BadInput

DESCRIBE = "draw identity keys for runs with adversary=active between machines"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clients", type=int, required=True, metavar="N")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")


def run(arguments: argparse.Namespace) -> None:
    from commands.identities import ROSTER, Identities, write_identities

    if not 2 <= arguments.clients <= 100_000:
        raise BadInput(f"--clients: must lie in 2..100000, got {arguments.clients}")
    try:
        arguments.out.mkdir(parents=True)
        write_identities(Identities.drawn(arguments.clients), arguments.out)
    except OSError as error:
        raise BadInput(f"--out: {arguments.out}: {error.strerror}") from error
    print(
        f"{arguments.out / ROSTER} goes to everybody, each N.identity to the worker of member N "
        "alone (never to the coordinator)"
    )
