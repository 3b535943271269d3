"""A command run as the shell would, and a fleet so fast that a whole run takes seconds."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

import profiles
from commands.cli import main

FAST = {"training_rate": "1000", "batch_overhead": "0.01", "quantisation_rate": "100000"}


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Ended]


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    """Run the command line's words."""

    def run(*words: str) -> Ended:
        capfd.readouterr()
        code = main(words)
        out, err = capfd.readouterr()
        return Ended(code, out, err)

    return run


@pytest.fixture(scope="session")
def fast_fleet(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], str]:
    """A fleet file of so many devices that train a thousand times as fast as a phone."""
    folder = tmp_path_factory.mktemp("fast")
    shipped = Path(profiles.__file__).parent / "devices" / "galaxy-note10.toml"
    device = shipped.read_text()
    for key, value in FAST.items():
        device, changed = re.subn(rf"(?m)^({key} = {{ value = )[\d.]+", rf"\g<1>{value}", device)
        assert changed == 1, key
    (folder / "fast.toml").write_text(device)

    def fleet(clients: int) -> str:
        path = folder / f"fleet-{clients}.toml"
        path.write_text(
            f'title = "for tests"\n[[members]]\ncount = {clients}\n'
            f'device = "{folder / "fast.toml"}"\nnetwork = "lan-1g"\n'
        )
        return str(path)

    return fleet


def one_line(ended: Ended) -> str:
    """What a command that was refused said: one line, and nothing on stdout."""
    (line,) = ended.err.splitlines()
    assert ended.out == ""
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


def words(text: str, **places: object) -> Sequence[str]:
    """Words of a command line, with places filled in."""
    return [word.format(**places) for word in text.split()]
