"""A coordinator that waits for workers of other machines, or of other terminals."""

import argparse
import os
import socket
import ssl
import sys
from dataclasses import replace
from pathlib import Path

from commands.clocks import refuse_virtual
from commands.errors import BadInput
from commands.options import add_run_options, settings_of
from commands.resumption import Lasting
from commands.worker import TOKEN_VARIABLE

DESCRIBE = "wait for workers from elsewhere and play the run with them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    parser.add_argument("--cert", type=Path, metavar="F", help="TLS certificate (PEM)")
    parser.add_argument("--key", type=Path, metavar="F", help="its private key (PEM)")
    parser.add_argument(
        "--identities", type=Path, metavar="DIR", help="against an active adversary"
    )
    add_run_options(parser)


def run(arguments: argparse.Namespace) -> None:
    host, port = parse_address(arguments.listen)
    context = tls_of(arguments.cert, arguments.key)
    settings = settings_of(arguments)
    refuse_virtual(settings, "coordinator")
    from commands.closing import close
    from commands.emulation import Host
    from commands.execution import Invitation, Listening, default_folder, execute
    from commands.identities import read_identities
    from commands.sharing import at_coordinator
    from commands.study import prepare
    from protocol.telemetry import Recorder

    async def invited(invitation: Invitation, host: Host, recorder: Recorder) -> None:
        """The workers bring themselves: tell how."""
        scale = study.settings.time_scale
        stretched = "" if scale == 1 else f" --time-scale {scale:g}"
        if study.settings.net != "stream":
            stretched += f" --net {study.settings.net}"
        played = f"--profile {study.settings.profile} --members I,J,..."
        if study.identities is not None:
            played += " --identities DIR"
        command = f"  {sys.executable} run_testbed.py worker --join {invitation.url}"
        hints = [f"{command} --token {invitation.token} {played}{stretched}"]
        if study.identities is None:
            other = "--device NAME --network NAME"
            hints.insert(0, f"{command} --token {invitation.token} {other}{stretched}")
        print(f"{len(study.fleet.members)} places; join with one of:", file=sys.stderr)
        print("\n".join(hints), file=sys.stderr, flush=True)

    identities = None
    if settings.adversary == "active":
        if arguments.identities is None:
            raise BadInput("--identities: needed with adversary=active: see `identities --help`")
        identities = read_identities(arguments.identities, ())
    _check_free(host, port)
    study = prepare(settings, identities)
    at_coordinator(settings, study.fleet, together=False)
    path = Path(arguments.resume) if arguments.resume else arguments.out or default_folder(study)
    lasting = Lasting.resuming(path) if arguments.resume else Lasting(path)
    study = replace(study, resumed=lasting.times)
    listening = Listening(host, port, context, _token_of_before(arguments))
    close(execute(study, path, invited, listening, lasting), arguments)


def _token_of_before(arguments: argparse.Namespace) -> str | None:
    """Workers that wait for their coordinator to come back know its token only."""
    if not arguments.resume:
        return None
    token = os.environ.get(TOKEN_VARIABLE)
    if not token:
        raise BadInput(f"--resume: {TOKEN_VARIABLE}: must hold the token that the workers know")
    return token


def _check_free(host: str, port: int) -> None:
    """Before anything is made: a folder for a run that cannot be served would only be litter."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
            trial.listen()
    except OSError as error:
        raise BadInput(f"--listen: {host}:{port}: {error.strerror}") from error


def parse_address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdecimal() and int(port) < 65536):
        raise BadInput(f"--listen: {text!r}: must be HOST:PORT")
    return host.strip("[]"), int(port)


def tls_of(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise BadInput("--cert, --key: both or neither")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise BadInput(f"--cert: {cert}: {error.strerror or error}") from error
    return context
