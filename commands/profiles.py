"""Looking at device, network and fleet profiles, and checking one's own."""

import argparse

from commands.errors import BadInput, not_built_yet
from profiles import Kind, ProfileError, list_profiles, load_profile, show

DESCRIBE = "list, show and check device, network and fleet profiles"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="list|show|check|import")
    verbs.add_parser("list", help="the shipped profiles")
    verbs.add_parser("show", help="figures, units, sources").add_argument(
        "name", metavar="NAME|FILE"
    )
    verbs.add_parser("check", help="is this file right?").add_argument("file", metavar="FILE")
    importing = verbs.add_parser("import", help="a trace file into a profile (not built yet)")
    importing.add_argument("file", nargs="?")
    importing.add_argument("--format")
    importing.add_argument("--out")


def run(arguments: argparse.Namespace) -> None:
    try:
        _run(arguments)
    except ProfileError as error:
        raise BadInput(str(error)) from error


def _run(arguments: argparse.Namespace) -> None:
    match arguments.verb:
        case "list":
            for kind in Kind:
                print(f"{kind}:\n  " + "\n  ".join(list_profiles(kind)))
        case "show":
            print(show(load_profile(arguments.name)))
        case "check":
            profile = load_profile(_as_path(arguments.file))
            print(f"{arguments.file}: good ({type(profile).__name__.lower()} {profile.name})")
        case _:
            raise not_built_yet("profiles import")


def _as_path(file: str) -> str:
    """Always a file, never a shipped profile of that name."""
    return file if "/" in file or file.endswith(".toml") else f"./{file}"
