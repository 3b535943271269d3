"""Fleets drawn from a population and clients drawn for each round: what is refused, and a run."""

import csv
import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from commands.errors import BadInput
from commands.settings import RunSettings, resolve
from commands.study import prepare
from strategies.draw import Draw, drawn
from strategies.none import Everybody
from tests.commands.conftest import Command

Fleet = Callable[[int], str]


@pytest.fixture(scope="module")
def drawn_fleet(fast_fleet: Fleet) -> str:
    """Five of the fast devices, each a little different."""
    device = Path(fast_fleet(1)).parent / "fast.toml"
    path = device.parent / "drawn.toml"
    path.write_text(
        'title = "drawn"\n[population]\ncount = 5\nseed = 1\n'
        'devices_source = "assumed: a test"\nnetworks_source = "assumed: a test"\n'
        '[population.spread]\nrate = { value = 1.5, unit = "gsd", source = "assumed: a test" }\n'
        f'[[population.devices]]\ndevice = "{device}"\nweight = 1\n'
        '[[population.networks]]\nnetwork = "lan-1g"\nweight = 1\n'
    )
    return str(path)


def test_three_of_five_take_part(command: Command, drawn_fleet: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    ended = command(
        *("run", "--profile", drawn_fleet, "--rounds", "2", "--strategy", "exclude"),
        *("--set", "clients_per_round=3", "--set", "training_processes=1", "--set", "epochs=1"),
        *("--set", "train_examples=100", "--set", "test_examples=40"),
        *("--seed", "5", "--out", str(out), "--json"),
    )
    assert ended.code == 0, ended.err
    assert "3 of 5 clients a round: exclude: a client is judged by its last arrival" in ended.err
    summary = json.loads(ended.out)
    assert (summary["clients"], summary["secure_aggregation"]["neighbours"]) == (5, 2)
    with (out / "clients.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    half = drawn(Everybody(), Draw(5, 3))
    expected = [(r, c) for r in (1, 2) for c in half.participants(r, range(5), {})]
    assert [(int(row["round"]), int(row["client"])) for row in rows] == expected
    assert {(row["device"], row["network"]) for row in rows} == {("fast", "lan-1g")}
    config = tomllib.loads((out / "config.toml").read_text())
    assert config["fleet"]["population"]["count"] == 5
    assert len(config["fleet"]["digest"]) == 64


@pytest.mark.parametrize(
    ("sets", "line"),
    [
        (("sample=1.5",), "sample: must be at most 1, got 1.5"),
        (("clients_per_round=21",), "clients_per_round: must be at most the fleet's 20 clients"),
        (("sample=0.5", "clients_per_round=3"), "sample, clients_per_round: set one of them"),
        (("clients_per_round=1",), "a secure sum needs at least two participants"),
        (("clients_per_round=2", "corrupt=0.5"), "must exceed the 2 corrupt clients"),
        (("sample=0.2", "aggregation=secagg+"), "secagg+ needs 6 neighbours in a fleet of 20"),
        (("clients_per_round=3", "adversary=active"), "must be at least the 2 corrupt clients + 2"),
    ],
)
def test_what_cannot_be_drawn_is_refused(sets: tuple[str, ...], line: str) -> None:
    with pytest.raises(BadInput, match=r".") as caught:
        prepare(resolve(None, {}, sets))
    assert line in str(caught.value)


def test_thousands_need_shared_data_and_get_bounds_of_the_fleet() -> None:
    chosen = ("profile=population-1000", "sample=0.1", "aggregation=secagg+")
    with pytest.raises(BadInput, match="1000 clients with 10 examples each"):
        prepare(resolve(None, {}, chosen))
    study = prepare(resolve(None, {}, (*chosen, "partition=shared")))
    assert study.planned == 100
    assert study.degree(100) == (26, 46)
    assert study.draw == Draw(RunSettings().seed, 100, 0.9)
