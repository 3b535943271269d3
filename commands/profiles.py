"""Looking at device, network and fleet profiles and traces, and checking one's own."""

import argparse
from pathlib import Path

from commands import imports
from commands.errors import BadInput
from profiles import Kind, ProfileError, list_profiles, load_profile, show
from profiles.catalogue import TRACE_SUFFIX, list_traces, locate_trace
from profiles.formats import import_trace
from profiles.formats.options import ImportOptions
from profiles.trace_reading import read_trace

DESCRIBE = "list, show and check profiles and traces; import traces of other formats"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="list|show|check|import")
    verbs.add_parser("list", help="the shipped profiles")
    verbs.add_parser("show", help="figures, units, sources").add_argument(
        "name", metavar="NAME|FILE"
    )
    checking = verbs.add_parser("check", help="is this file right?")
    checking.add_argument("file", metavar="FILE")
    checking.add_argument("--format", metavar="F", help="a trace of another format than ours")
    imports.add_arguments(
        verbs.add_parser("import", help="a trace file of another format into a straggler trace")
    )


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
            print("traces:\n  " + "\n  ".join(list_traces()))
        case "show":
            print(_shown(arguments.name))
        case "check":
            print(f"{arguments.file}: good ({_checked(arguments.file, arguments.format)})")
        case "import":
            imports.run(arguments)


def _shown(name: str) -> str:
    if name.endswith(TRACE_SUFFIX) or name in list_traces():
        path = locate_trace(name, Path())
        trace = read_trace(path)
        head = f"{path.stem}: {trace.title}", imports.described(trace)
        return "\n".join([*head, *(f"note: {note}" for note in trace.notes)])
    return show(load_profile(name))


def _checked(file: str, format_: str | None) -> str:
    """A trace is told from a profile by its name, which is then not of TOML."""
    if format_ is not None:
        options = ImportOptions(reference_ms=1.0)  # whatever it is, the file is right or wrong
        return imports.described(import_trace(Path(file), format_, options))
    if not file.endswith(".toml") and Path(file).is_file():
        return imports.described(read_trace(Path(file)))
    profile = load_profile(_as_path(file))
    return f"{type(profile).__name__.lower()} {profile.name}"


def _as_path(file: str) -> str:
    """Always a file, never a shipped profile of that name."""
    return file if "/" in file or file.endswith(".toml") else f"./{file}"
