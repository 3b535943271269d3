"""Where profiles are found: shipped ones by name, the user's own by path.

Knows file names only, not what the files hold.
"""

from enum import StrEnum
from pathlib import Path

from profiles.errors import ProfileError, near

_ROOT = Path(__file__).resolve().parent


class Kind(StrEnum):
    """A kind of profile; the value is its folder."""

    DEVICE = "devices"
    NETWORK = "networks"
    FLEET = "fleets"
    KERNELS = "kernels"


class UnknownProfile(ProfileError):
    """No profile has this name. Whoever read the name from a file reports `rule` under its key."""


def list_profiles(kind: Kind) -> tuple[str, ...]:
    """The names of the shipped profiles of one kind, sorted."""
    return tuple(sorted(path.stem for path in (_ROOT / kind).glob("*.toml")))


def locate(kind: Kind, reference: str, folder: Path) -> Path:
    """The file a reference means; it need not exist.

    What has a slash or ends in .toml is a path, relative to `folder`; all else is a shipped name.
    """
    if "/" in reference or reference.endswith(".toml"):
        return folder / reference
    names = list_profiles(kind)
    if reference not in names:
        what = "profile of kernels" if kind is Kind.KERNELS else kind.value.removesuffix("s")
        rule = f"no shipped {what} is named {reference!r}; {near(reference, names)}"
        raise UnknownProfile(reference, what, rule)
    return _ROOT / kind / f"{reference}.toml"


TRACE_SUFFIX = ".trace"
"""Of straggler traces, shipped or not."""


def list_traces() -> tuple[str, ...]:
    """The names of the shipped traces, sorted."""
    return tuple(sorted(path.stem for path in (_ROOT / "traces").glob(f"*{TRACE_SUFFIX}")))


def locate_trace(reference: str, folder: Path) -> Path:
    """Likewise: what has a slash or the suffix is a path, all else a shipped name."""
    if "/" in reference or reference.endswith(TRACE_SUFFIX):
        return folder / reference
    names = list_traces()
    if reference not in names:
        rule = f"no shipped trace is named {reference!r}; {near(reference, names)}"
        raise UnknownProfile(reference, "trace", rule)
    return _ROOT / "traces" / f"{reference}{TRACE_SUFFIX}"
