"""The options that several commands share, and how they become settings."""

import argparse
from pathlib import Path

from commands.errors import BadInput
from commands.experiment import Experiment, find_experiment, read_experiment
from commands.resumption import settings_kept
from commands.settings import RunSettings, resolve

NAMED = (
    "profile",
    "task",
    "strategy",
    "rounds",
    "clock",
    "net",
    "seed",
    "data",
    "time_scale",
    "record",
)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """What a run is told."""
    parser.add_argument("--profile", metavar="FLEET|FILE", help="who takes part (mixed-20)")
    parser.add_argument(
        "--experiment",
        metavar="NAME|FILE",
        help="a study: settings, and lists for compare",
    )
    parser.add_argument("--task", metavar="NAME", help="what is learnt (digits)")
    parser.add_argument("--strategy", metavar="NAME", help="remedy for stragglers (clip-network)")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds to play (6)")
    parser.add_argument(
        "--clock", metavar="wall|virtual", help="wall, or virtual: exact and without waiting"
    )
    parser.add_argument(
        "--net", metavar="stream|packet|kernel", help="kind of link (stream; Linux: packet)"
    )
    parser.add_argument("--seed", type=int, metavar="N")
    parser.add_argument("--data", metavar="DIR", help="where the task's data lies")
    parser.add_argument(
        "--quick", action="store_true", help="the experiment's quick size; without one: 4 rounds"
    )
    parser.add_argument("--time-scale", type=float, metavar="X", help="stretch emulated time")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any setting"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="the run folder (out/...)")
    parser.add_argument(
        "--record",
        action="store_const",
        const=True,
        help="keep what each device goes through, for `replay`",
    )
    parser.add_argument(
        "--resume",
        metavar="DIR",
        help="go on with a run, or a comparison, that was cut off",
    )
    parser.add_argument("--strict", action="store_true", help="exit 4 if the run was unstable")
    parser.add_argument("--json", action="store_true", help="the summary on stdout, nothing else")


QUICK_ROUNDS = 4
"""Two of warm-up, in which nothing is pruned, and two to measure."""


def settings_of(arguments: argparse.Namespace) -> RunSettings:
    """The settings that the options ask for. Raises BadInput."""
    resumed = getattr(arguments, "resume", None)
    if resumed and arguments.out:
        raise BadInput("--out: a resumed run goes on in its own folder")
    named = {name: getattr(arguments, name, None) for name in NAMED}
    experiment = experiment_of(arguments)
    states_quick = experiment is not None and experiment.has_quick
    if arguments.quick and named["rounds"] is None and not states_quick:
        named["rounds"] = QUICK_ROUNDS
    base = settings_kept(Path(resumed)) if resumed else None
    return resolve(arguments.experiment, named, arguments.set, base, arguments.quick)


def experiment_of(arguments: argparse.Namespace) -> Experiment | None:
    """The file that --experiment names. Raises BadInput."""
    if arguments.experiment is None:
        return None
    return read_experiment(find_experiment(arguments.experiment))
