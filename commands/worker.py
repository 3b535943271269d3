"""Workers that join a coordinator somewhere else, each inside an emulated device."""

import argparse
import os
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from commands.errors import BadInput, Failure
from commands.settings import NETS as KINDS

if TYPE_CHECKING:
    from commands.emulation import Site
    from worker.worker import Pins

DESCRIBE = "play devices for a coordinator somewhere else"
TOKEN_VARIABLE = "TESTBED_TOKEN"
"""Instead of --token: a command line can be read by every user of a host."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--join", required=True, metavar="URL")
    parser.add_argument("--token", metavar="T", help=f"or in {TOKEN_VARIABLE}")
    parser.add_argument("--device", metavar="NAME|FILE", help="the device to play")
    parser.add_argument("--network", metavar="NAME|FILE", help="its access link (fixed-world)")
    parser.add_argument("--count", type=int, metavar="N", help="how many of them (1)")
    parser.add_argument("--profile", metavar="FLEET|FILE", help="instead: members of a fleet")
    parser.add_argument("--members", metavar="I,J,...", help="which members (all)")
    parser.add_argument(
        "--identities", type=Path, metavar="DIR", help="against an active adversary"
    )
    parser.add_argument("--corrupt", type=float, default=0.1, metavar="X", help="(0.1)")
    parser.add_argument("--crowd", type=int, default=2, metavar="N", help="(2)")
    parser.add_argument("--data", metavar="DIR", help="where the task's data lies")
    parser.add_argument("--cert", type=Path, metavar="F", help="certificate to trust (PEM)")
    parser.add_argument("--processes", type=int, metavar="N", help="training processes (cores)")
    parser.add_argument("--time-scale", type=float, default=1.0, metavar="X")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the links' chance (0)")
    parser.add_argument(
        "--until-eof", action="store_true", help="end with standard input: with whoever started it"
    )
    parser.add_argument("--net", choices=KINDS, default="stream", help="kind of link (stream)")
    parser.add_argument("--rates-only", action="store_true", help="kernel links without delay")


def run(arguments: argparse.Namespace) -> None:
    token = arguments.token or os.environ.get(TOKEN_VARIABLE)
    if not token:
        raise BadInput(f"--token: missing (or set {TOKEN_VARIABLE})")
    if not arguments.join.startswith(("http://", "https://")):
        raise BadInput(f"--join: {arguments.join!r}: must be an http or https URL")
    if arguments.processes is not None and arguments.processes < 1:
        raise BadInput(f"--processes: must be at least 1, got {arguments.processes}")
    if not 0 < arguments.time_scale < float("inf"):
        raise BadInput("--time-scale: must be positive and finite")
    if arguments.seed < 0:
        raise BadInput(f"--seed: must be at least 0, got {arguments.seed}")
    sites = _sites(arguments)
    import asyncio

    from commands.attendance import attend
    from commands.emulation import Ways
    from commands.execution import Invitation
    from commands.nets import Net
    from learning.task import TaskError
    from learning.training import TrainingError
    from netem.packet.errors import LinksLost
    from protocol.errors import LocalError, ProtocolError
    from worker.channel import ChannelLost, JoinRefused
    from worker.pool import PoolError

    ways = Ways(arguments.data, _trusted(arguments.cert), pins=_pins(arguments, sites))
    invitation = Invitation(arguments.join.rstrip("/"), token)
    means = Net(arguments.net, arguments.time_scale, arguments.rates_only), arguments.processes
    try:
        asyncio.run(attend(sites, invitation, ways, means, arguments.until_eof))
    except JoinRefused as error:
        raise BadInput(f"--join: {arguments.join}: refused: {error}") from error
    except (
        *(ChannelLost, ProtocolError, LocalError, TaskError, TrainingError, PoolError),
        LinksLost,
    ) as error:
        raise Failure(str(error)) from error
    except asyncio.CancelledError:
        raise Failure("terminated") from None


def _pins(arguments: argparse.Namespace, sites: "Sequence[Site]") -> "Callable[[int], Pins | None]":
    from commands.identities import pins_of, read_identities

    if arguments.identities is None:
        return pins_of(None, 0.0)
    members = [site.member for site in sites if site.member is not None]
    if not 0 <= arguments.corrupt < 1:
        raise BadInput(f"--corrupt: must lie in [0, 1), got {arguments.corrupt}")
    if arguments.crowd < 2:
        raise BadInput(f"--crowd: must be at least 2, got {arguments.crowd}")
    identities = read_identities(arguments.identities, members)
    return pins_of(identities, arguments.corrupt, arguments.crowd)


def _sites(arguments: argparse.Namespace) -> "Sequence[Site]":
    from commands.emulation import Site
    from profiles import ProfileError, load_device, load_fleet, load_network

    if (arguments.device is None) == (arguments.profile is None):
        raise BadInput("--device, --profile: exactly one of them says what to play")
    ignored = ("network", "count") if arguments.device is None else ("members", "identities")
    for option in ignored:
        if getattr(arguments, option) is not None:
            kind = "--device" if arguments.device is None else "--profile"
            raise BadInput(f"--{option}: goes with {kind} only")
    count = 1 if arguments.count is None else arguments.count
    if count < 1:
        raise BadInput(f"--count: must be at least 1, got {count}")
    try:
        if arguments.device is not None:
            device = load_device(arguments.device)
            network = load_network(arguments.network or "fixed-world")
            return [Site(device, network, seed=arguments.seed + i) for i in range(count)]
        fleet = load_fleet(arguments.profile)
    except ProfileError as error:
        raise BadInput(str(error)) from error
    members, listed = fleet.members, fleet.population is None
    chosen = _indices(arguments.members, len(members))
    seed: int = arguments.seed
    return [
        Site(members[i].device, members[i].network, i, listed, seed, members[i].trace)
        for i in chosen
    ]


def _indices(text: str | None, size: int) -> Sequence[int]:
    if text is None:
        return range(size)
    parts = text.split(",")
    if not all(p.isascii() and p.isdecimal() and int(p) < size for p in parts):
        raise BadInput(f"--members: {text!r}: must be numbers below {size}, separated by commas")
    return sorted({int(p) for p in parts})


def _trusted(cert: Path | None) -> ssl.SSLContext | None:
    if cert is None:
        return None
    try:
        return ssl.create_default_context(cafile=str(cert))
    except (OSError, ssl.SSLError) as error:
        raise BadInput(f"--cert: {cert}: {error.strerror or error}") from error
