"""The command line: which words there are, and which exit code a command's end becomes.

`run_testbed.py` without a command is `run_testbed.py run`. A command is a module with `DESCRIBE`,
`add_arguments` and `run`; heavy imports stay inside `run`, so that `--help` answers at once.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import NoReturn

from commands import (
    attack,
    compare,
    coordinator,
    gap,
    handout,
    profiles,
    replay,
    report,
    run,
    verify,
    worker,
)
from commands.errors import (
    EXIT_BAD_INPUT,
    EXIT_FAILED,
    EXIT_GOOD,
    EXIT_UNSTABLE,
    BadInput,
    Failure,
    Unstable,
)

COMMANDS: Mapping[str, ModuleType] = {
    "run": run,
    "compare": compare,
    "replay": replay,
    "clocks": gap,
    "coordinator": coordinator,
    "worker": worker,
    "identities": handout,
    "verify": verify,
    "profiles": profiles,
    "report": report,
    "attack": attack,
}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{self.prog}: {message}")


def build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="run_testbed.py",
        description="Measures what slow devices and slow networks do to secure federated learning.",
        epilog="Without a command: run.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for name, module in COMMANDS.items():
        sub = commands.add_parser(name, help=module.DESCRIBE, description=module.DESCRIBE)
        module.add_arguments(sub)
    return parser


def main(argv: Sequence[str]) -> int:
    """Run a command; returns the exit code of the contract."""
    words = list(argv)
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words.insert(0, "run")
    try:
        arguments = build_parser().parse_args(words)
        COMMANDS[arguments.command].run(arguments)
    except BadInput as error:
        return _end(EXIT_BAD_INPUT, error)
    except Failure as error:
        return _end(EXIT_FAILED, error)
    except Unstable as error:
        return _end(EXIT_UNSTABLE, error)
    except KeyboardInterrupt:
        return _end(EXIT_FAILED, "interrupted")
    except BrokenPipeError:  # `| head`: the reader has seen enough
        sys.stderr.close()
    return EXIT_GOOD


def _end(code: int, message: object) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code
