"""Membership inference against runs: what their models and updates tell of who trained on what."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from commands.errors import BadInput, Failure
from commands.sweep import Sweep, is_sweep

if TYPE_CHECKING:
    from commands.judging import Asked
    from protocol.telemetry import Json

DESCRIBE = "membership inference against the models of finished runs"
FILE = "attack.json"
EXAMPLES, SHADOWS = 1000, 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN_DIR")
    parser.add_argument(
        "--examples",
        type=int,
        default=EXAMPLES,
        metavar="N",
        help=f"members asked about at most, and as many others ({EXAMPLES})",
    )
    parser.add_argument(
        "--shadows",
        type=int,
        default=SHADOWS,
        metavar="N",
        help=f"shadow models, each as long to train as the run's or shorter ({SHADOWS}; 0: none)",
    )
    parser.add_argument("--data", metavar="DIR", help="where the task's data lies now")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="a page with AUC against sparsity as well"
    )
    parser.add_argument("--json", action="store_true", help="the result on stdout, nothing else")


def run(arguments: argparse.Namespace) -> None:
    from commands.attacked import LEAST
    from commands.judging import Asked

    if arguments.examples < LEAST:
        raise BadInput(f"--examples: must be at least {LEAST}, got {arguments.examples}")
    if not 0 <= arguments.shadows <= 256:
        raise BadInput(f"--shadows: must be from 0 to 256, got {arguments.shadows}")
    if arguments.out is not None and not arguments.out.parent.is_dir():
        raise BadInput(f"--out: {arguments.out}: must be in a folder that exists")
    paths = list(dict.fromkeys(_runs(arguments.runs)))
    asked = Asked(arguments.examples, arguments.shadows)
    found = [_judged(path, asked, arguments.data) for path in paths]
    _show(found, paths, arguments)


def _runs(given: list[Path]) -> Iterator[Path]:
    """A comparison stands for its finished runs."""
    for path in given:
        if not is_sweep(path):
            yield path
            continue
        cells = Sweep.reopen(path).finished()
        if not cells:
            raise BadInput(f"{path}: none of its runs is finished")
        yield from (path / cell.name for cell in cells)


def _judged(path: Path, asked: "Asked", data: str | None) -> "dict[str, Json]":
    """What its attack.json says, if that is of the same model, updates and options; otherwise
    judged now and written there."""
    from commands.attacked import read_attacked
    from commands.judging import judge, what_is_asked
    from runs.disk import Disk

    attacked = read_attacked(path, data)
    known, wanted = _known(path / FILE), what_is_asked(attacked, asked)
    if all(known.get(key) == value for key, value in wanted.items()):
        print(f"{path.name}: judged before", file=sys.stderr, flush=True)
        return known
    found = judge(attacked, asked, lambda said: print(said, file=sys.stderr, flush=True))
    text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    try:
        Disk().replace(path / FILE, [text.encode()])
    except OSError as error:
        raise Failure(f"{path / FILE}: cannot be written ({error.strerror})") from error
    return found


def _known(file: Path) -> "dict[str, Json]":
    """Empty where there is none that can be read: it is then made anew."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _show(found: "list[dict[str, Json]]", paths: list[Path], arguments: argparse.Namespace) -> None:
    from rich.console import Console

    from runs.attack_rows import tabulate
    from runs.attack_table import print_attacks

    table = tabulate(found)
    if arguments.out is not None:
        _write_page(table, arguments.out)
    if arguments.json:
        json.dump({**table, "runs": found}, sys.stdout, indent=2)
        print()
        return
    print_attacks(table, Console())
    where = paths[0] if len(paths) == 1 else f"each of the {len(paths)} run folders"
    print(f"all figures: {FILE} in {where}")


def _write_page(table: "dict[str, Json]", out: Path) -> None:
    from runs.attack_plot import attacks_html
    from runs.disk import Disk

    try:
        Disk().replace(out, [attacks_html(table).encode()])
    except OSError as error:
        raise BadInput(f"--out: {out}: cannot be written ({error.strerror})") from error
