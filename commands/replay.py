"""The same devices through the same again, under the same strategy or others, in either clock."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands.errors import BadInput
from commands.grid import names
from commands.settings import RunSettings, resolve, settings_in

if TYPE_CHECKING:
    from commands.replayed import Again
    from commands.study import Study
    from profiles import Fleet

DESCRIBE = "put a run's devices through the same again, under its strategy or others"
_ALIGNMENTS = ("round", "time")
_OF_THE_RECORD = ("profile", "seed", "net", "rates_only", "placement", "coordinator", "record")
"""Settings that say what is gone through: they are the record's."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN_DIR")
    parser.add_argument("--strategy", metavar="A,B,...", help="baseline first (the run's own)")
    parser.add_argument("--clock", metavar="wall|virtual", help="(the run's own)")
    parser.add_argument(
        "--by",
        choices=_ALIGNMENTS,
        default="round",
        help="what the record goes by: each round anew, or the run's time (round)",
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="only the first N")
    parser.add_argument("--time-scale", type=float, metavar="X", help="stretch emulated time")
    parser.add_argument("--data", metavar="DIR", help="where the task's data lies now")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the folder to make (out/...)")
    parser.add_argument("--strict", action="store_true", help="exit 4 if a run was unstable")
    parser.add_argument("--json", action="store_true", help="the result on stdout, nothing else")
    parser.add_argument("--dry-run", action="store_true", help="show the record; run nothing")


def run(arguments: argparse.Namespace) -> None:
    if arguments.dry_run and arguments.json:
        raise BadInput("--json: goes with a replay: a dry run has no result")
    recorded = read_recorded(arguments.run, arguments.by)
    own = recorded.settings.strategy
    strategies = names("--strategy", arguments.strategy) if arguments.strategy else [own]
    studies = [_study(recorded, strategy, arguments) for strategy in strategies]
    if arguments.dry_run:
        from commands.replay_tables import print_record

        print_record(studies[0])
    elif len(studies) == 1:
        from commands.closing import close
        from commands.execution import execute
        from commands.local import local_workers

        (study,) = studies
        close(execute(study, arguments.out, local_workers(study)), arguments)
    else:
        _compare(studies, arguments)


@dataclass(frozen=True, slots=True)
class Recorded:
    settings: RunSettings
    fleet: "Fleet"
    again: "Again"
    rounds: int
    """How many were begun."""


def read_recorded(folder: Path, by: str) -> Recorded:
    """Raises BadInput naming file, key and rule."""
    from commands.recording import FILE, record_of, text_of
    from commands.replayed import Again, digest, replayed
    from commands.sweep import is_sweep
    from profiles import ProfileError
    from profiles.trace_reading import read_trace

    if is_sweep(folder):
        raise BadInput(f"{folder}: is a comparison: name one of its runs")
    record = record_of(folder)
    if "replay" in record.config:
        raise BadInput(f"{folder / 'config.toml'}: replay: is one already: replay what it is of")
    trace, text = record.trace, text_of(record.trace).encode()
    if (folder / FILE).exists():
        try:
            trace, text = read_trace(folder / FILE), (folder / FILE).read_bytes()
        except ProfileError as error:
            raise BadInput(str(error)) from error
    members = {str(member.index): member for member in record.fleet.members}
    if strangers := [each.device for each in trace.devices if each.device not in members]:
        raise BadInput(f"{folder / FILE}: device {strangers[0]!r}: no client of the run's fleet")
    told = {
        members[each.device].index: replayed(members[each.device], each, by == "round")
        for each in trace.devices
    }
    rounds = max((mark.round for each in trace.devices for mark in each.rounds), default=0)
    if not rounds:
        raise BadInput(f"{folder / FILE}: round: must say when rounds began")
    again = Again(str(folder), digest(text), by, told)
    return Recorded(_settings(folder, record.config), record.fleet, again, rounds)


def _settings(folder: Path, config: Any) -> RunSettings:  # noqa: ANN401
    """As the run's config says; what only tells how it was played is left out."""
    settings = settings_in(config, folder / "config.toml")
    apart = settings.placement != "tasks" or settings.net != "stream"
    if apart or config.get("host", {}).get("workers") == "elsewhere":
        # its coordinator's link was the host's
        settings = replace(settings, placement="tasks", net="stream", coordinator="host")
    return replace(settings, record=False, keep_updates="none")


def _study(recorded: Recorded, strategy: str, arguments: argparse.Namespace) -> "Study":
    from commands.study import prepare

    for item in arguments.set:
        key = item.partition("=")[0].strip().replace("-", "_")
        if key in (*_OF_THE_RECORD, "strategy"):
            why = "use --strategy" if key == "strategy" else "is the record's"
            raise BadInput(f"--set: {key}: {why}")
    rounds = arguments.rounds
    if rounds is None:
        rounds = min(recorded.settings.rounds, recorded.rounds)
    if rounds > recorded.rounds:
        raise BadInput(f"--rounds: the record has {recorded.rounds}, got {rounds}")
    options: dict[str, object] = {"strategy": strategy, "rounds": rounds}
    for key in ("clock", "rounds", "time_scale", "data"):
        if getattr(arguments, key) is not None:
            options[key] = getattr(arguments, key)
    settings = resolve(None, options, arguments.set, recorded.settings)
    return replace(prepare(settings, fleet=recorded.fleet), again=recorded.again)


def _compare(studies: "Sequence[Study]", arguments: argparse.Namespace) -> None:
    from rich.console import Console

    from commands.closing import check_stable
    from commands.execution import Finished, execute
    from commands.local import local_workers
    from commands.replay_tables import print_stragglers, stragglers
    from runs.comparison import compare
    from runs.comparison_table import print_comparison
    from runs.loading import load_run

    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    out = arguments.out or Path("out") / f"{moment}-replay-{arguments.run.name}"
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"--out: {out}: exists and is not empty; nothing is overwritten")
    finished: list[Finished] = []
    for study in studies:
        print(f"{study.settings.strategy} of {len(studies)} replays", file=sys.stderr, flush=True)
        finished.append(execute(study, out / study.settings.strategy, local_workers(study)))
    table = compare([load_run(each.path) for each in finished])
    named = stragglers(arguments.run, finished)
    if arguments.json:
        json.dump(table | {"replay_of": str(arguments.run), "stragglers": named}, sys.stdout)
        print()
    else:
        print_comparison(table, Console())
        print_stragglers(named, Console())
        print(f"replays of {arguments.run} are in {out}")
    if arguments.strict:
        for each in finished:
            check_stable(each)
