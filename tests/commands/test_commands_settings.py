"""Settings: which source wins, and one line for each that is wrong."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import commands
from commands.errors import BadInput
from commands.experiment import read_experiment
from commands.settings import RunSettings, resolve


def experiment(folder: Path, text: str) -> str:
    path = folder / "study.toml"
    path.write_text(text)
    return str(path)


def test_every_setting_is_documented() -> None:
    page = (Path(commands.__file__).parent.parent / "docs" / "settings.md").read_text()
    assert [key for key in asdict(RunSettings()) if f"`{key}`" not in page] == []


def test_later_sources_win(tmp_path: Path) -> None:
    path = experiment(
        tmp_path, 'title = "a study"\nrounds = 11\nseed = 12\nalpha = 3\ntask = "femnist"\n'
    )
    plain = resolve(None, {}, [])
    assert plain == RunSettings()
    from_file = resolve(path, {}, [])
    assert (from_file.rounds, from_file.seed, from_file.task) == (11, 12, "femnist")
    assert from_file.alpha == 3.0
    assert type(from_file.alpha) is float
    optioned = resolve(path, {"rounds": 21, "seed": None}, [])
    assert (optioned.rounds, optioned.seed) == (21, 12)
    final = resolve(path, {"rounds": 21}, ["rounds=31", "seed=32", "seed=33"])
    assert (final.rounds, final.seed, final.task) == (31, 33, "femnist")


def test_a_switch_is_true_or_false(tmp_path: Path) -> None:
    assert resolve(None, {}, []).precompute is False
    assert resolve(None, {}, ["precompute=true"]).precompute is True
    path = experiment(tmp_path, "precompute = true\n")
    assert resolve(path, {}, []).precompute is True
    assert resolve(path, {}, ["precompute=false"]).precompute is False


def test_keys_may_be_written_with_dashes_and_values_with_equals_signs() -> None:
    assert resolve(None, {}, ["time-scale=2.5"]).time_scale == 2.5
    assert resolve(None, {}, [" rounds = 7"]).rounds == 7
    assert resolve(None, {}, ["profile=a=b.toml"]).profile == "a=b.toml"


def test_a_ring_may_be_left_to_the_run() -> None:
    assert resolve(None, {}, ["ring_bits=auto"]).ring_bits is None
    assert resolve(None, {}, ["ring_bits=24"]).ring_bits == 24
    assert resolve(None, {}, []).ring_bits == 32


WRONG_SETS = [
    # --set, its line
    ("rounds", "--set: 'rounds': must be KEY=VALUE"),
    ("", "--set: '': must be KEY=VALUE"),
    ("rounds=", "--set: rounds: must be an integer, got ''"),
    ("rounds=x", "--set: rounds: must be an integer, got 'x'"),
    ("rounds=1.5", "--set: rounds: must be an integer, got '1.5'"),
    ("rounds=0", "--set: rounds: must be at least 1, got 0"),
    ("seed=-1", "--set: seed: must be at least 0, got -1"),
    ("seed=9223372036854775808", "--set: seed: must be at most 2^63 - 1, got 9223372036854775808"),
    ("epochs=0", "--set: epochs: must be at least 1, got 0"),
    ("batch_size=-3", "--set: batch_size: must be at least 1, got -3"),
    ("processes=0", "--set: processes: must be at least 1, got 0"),
    ("training_processes=0", "--set: training_processes: must be at least 1, got 0"),
    ("threshold=0", "--set: threshold: must be at least 1, got 0"),
    ("crowd=1", "--set: crowd: must be at least 2, got 1"),
    ("ring_bits=best", "--set: ring_bits: must be an integer, got 'best'"),
    ("rounding=up", "--set: rounding: must be one of nearest, stochastic, got 'up'"),
    ("threshold=2.5", "--set: threshold: must be an integer, got '2.5'"),
    ("time_scale=fast", "--set: time_scale: must be a number, got 'fast'"),
    ("time_scale=0", "--set: time_scale: must be a positive finite number, got 0.0"),
    ("time_scale=-1", "--set: time_scale: must be a positive finite number, got -1.0"),
    ("time_scale=inf", "--set: time_scale: must be a positive finite number, got inf"),
    ("clip=nan", "--set: clip: must be a positive finite number, got nan"),
    ("learning_rate=0", "--set: learning_rate: must be a positive finite number, got 0.0"),
    ("learning_rate=1e300", "--set: learning_rate: must be below 1e+38, got 1e+300"),
    ("momentum=1", "--set: momentum: must be below 1, got 1"),
    ("momentum=-0.1", "--set: momentum: must be a positive finite number, got -0.1"),
    ("corrupt=1", "--set: corrupt: must be below 1, got 1"),
    ("lost=1.5", "--set: lost: must be below 1, got 1.5"),
    ("join_s=0", "--set: join_s: must be a positive finite number, got 0.0"),
    ("precompute=1", "--set: precompute: must be true or false, got '1'"),
    ("precompute=", "--set: precompute: must be true or false, got ''"),
    ("clock=sun", "--set: clock: must be one of wall, virtual, got 'sun'"),
    ("net=rope", "--set: net: must be one of stream, packet, kernel, got 'rope'"),
    ("aggregation=sum", "--set: aggregation: must be one of plain, secagg, secagg+, got 'sum'"),
    ("adversary=angry", "--set: adversary: must be one of semi-honest, active, got 'angry'"),
    ("mean=median", "--set: mean: must be one of participation, all, got 'median'"),
    ("placement=moon", "--set: placement: must be one of tasks, processes, got 'moon'"),
]


@pytest.mark.parametrize(("item", "line"), WRONG_SETS)
def test_a_wrong_set(item: str, line: str) -> None:
    with pytest.raises(BadInput) as raised:
        resolve(None, {}, [item])
    assert str(raised.value) == line


def test_an_unknown_key_names_the_known_ones() -> None:
    with pytest.raises(BadInput, match=r"^--set: round: unknown setting; known are adversary, agg"):
        resolve(None, {}, ["round=3"])


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"rounds": 0}, "--rounds: must be at least 1, got 0"),
        ({"seed": -2}, "--seed: must be at least 0, got -2"),
        ({"time_scale": 0.0}, "--time-scale: must be a positive finite number, got 0.0"),
        ({"net": "rope"}, "--net: must be one of stream, packet, kernel, got 'rope'"),
    ],
)
def test_a_wrong_option_is_named_as_it_was_written(options: dict[str, Any], line: str) -> None:
    with pytest.raises(BadInput) as raised:
        resolve(None, options, [])
    assert str(raised.value) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("rounds = 0", "rounds: must be at least 1, got 0"),
        ("rounds = true", "rounds: must be an integer, got True"),
        ("rounds = 2.0", "rounds: must be an integer, got 2.0"),
        ('rounds = "2"', "rounds: must be an integer, got '2'"),
        ("rounds = [2]", "rounds: must be an integer, got [2]"),
        ("task = 3", "task: must be text, got 3"),
        ("alpha = nan", "alpha: must be a positive finite number, got nan"),
        ("alpha = 2020-01-01", "alpha: must be a number, got datetime.date(2020, 1, 1)"),
        ("[run]\nrounds = 3", "run: unknown setting"),
        ("rouds = 3", "rouds: unknown setting"),
        ("rounds = ", "not readable as TOML: Invalid value (at end of document)"),
    ],
)
def test_a_wrong_experiment_file_is_named(tmp_path: Path, text: str, line: str) -> None:
    path = experiment(tmp_path, text)
    with pytest.raises(BadInput) as raised:
        resolve(path, {}, [])
    assert str(raised.value).startswith(f"{path}: {line}")


def test_an_experiment_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b'title = "\xe4"')
    with pytest.raises(BadInput, match=r"latin\.toml: not readable as TOML: "):
        read_experiment(tmp_path / "latin.toml")
    for name in ("no-such-study", str(tmp_path)):
        with pytest.raises(BadInput, match=f"^--experiment: {name}: no such experiment or file"):
            resolve(name, {}, [])


def test_an_experiment_says_what_a_set_says(tmp_path: Path) -> None:
    """All settings can be written into a file, and mean the same."""
    values = {key: value for key, value in asdict(RunSettings()).items() if value is not None}
    text = tomli_w.dumps(values)
    assert resolve(experiment(tmp_path, text), {}, []) == RunSettings()
    assert resolve(None, {}, [f"{key}={value}" for key, value in values.items()]) == RunSettings()


@hypothesis_settings(max_examples=200)
@given(st.sampled_from(sorted(asdict(RunSettings()))), st.text(max_size=12))
def test_any_text_is_a_setting_or_one_line(key: str, text: str) -> None:
    refusal, changed = None, RunSettings()
    try:
        changed = resolve(None, {}, [f"{key}={text}"])
    except BadInput as error:
        refusal = str(error)
    assert refusal is None or refusal.startswith(f"--set: {key}")
    assert refusal is not None or type(getattr(changed, key)) in (bool, int, float, str)
