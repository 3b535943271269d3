"""Comparison: same-seed pairs, spread, target, and what it refuses."""

import copy
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from protocol.telemetry import Json
from runs import reading
from runs.analysis import summarise_run
from runs.comparable import flatten
from runs.comparison import compare
from runs.comparison_table import print_comparison
from runs.errors import ComparisonError
from runs.loading import LoadedRun

Fake = Callable[..., Any]
Config = dict[str, object]
Make = Callable[..., LoadedRun]


@pytest.fixture
def make(config: Config, fake_run: Fake) -> Make:
    """A finished run; `set_` overrides dotted settings, `slower` stretches all fits."""

    def run_of(
        set_: dict[str, object], slower: float = 1.0, pruned: bool = True, late_s: float = 0.001
    ) -> LoadedRun:
        settings: Any = copy.deepcopy(config)
        for key, value in set_.items():
            table, _, name = key.rpartition(".")
            settings.setdefault(table, {})[name] = value
        run = fake_run(slower=slower, saved_fit=0.5 if pruned else 1.0, late_s=late_s)
        run.whole()
        name = f"{settings['run']['strategy']}-{settings['run']['seed']}"
        return LoadedRun(Path(name), settings, tuple(run.recorder.items))

    return run_of


@pytest.fixture
def runs(make: Make) -> list[LoadedRun]:
    """Two seeds; after warm-up the baseline takes 8.9 s (seed 1) and 14.9 s (seed 2)."""
    return [
        make({"run.strategy": strategy, "run.seed": seed}, slower, pruned=strategy == "clip")
        for strategy in ("none", "clip")
        for seed, slower in ((1, 1.0), (2, 2.0))
    ]


def rows_of(comparison: Any) -> tuple[Any, Any]:  # noqa: ANN401
    first, second = comparison["rows"]
    return first, second


def test_speedup_is_paired_by_seed(runs: list[LoadedRun]) -> None:
    """clip: rounds 3 and 4 last (6.1 + 5.9) / 2 and, twice as slow, (8.9 + 8.9) / 2."""
    base, clip = rows_of(compare(runs))
    assert (base["strategy"], clip["strategy"]) == ("none", "clip")
    assert base["round_s"]["mean"] == pytest.approx((8.9 + 14.9) / 2)
    assert base["speedup"]["saved"] == {"mean": 0.0, "spread": 0.0}
    saved = [1 - 6.0 / 8.9, 1 - 8.9 / 14.9]
    assert clip["seeds"] == [1, 2]
    assert clip["speedup"]["pairs"] == 2
    assert clip["speedup"]["saved"]["mean"] == pytest.approx(sum(saved) / 2)
    assert clip["speedup"]["saved"]["spread"] == pytest.approx(abs(saved[0] - saved[1]) / 2**0.5)


def test_the_rule_for_the_target_is_stated(runs: list[LoadedRun]) -> None:
    comparison: Any = compare(runs)
    assert comparison["target"]["metric"] == pytest.approx(0.95 * 0.9)
    assert "0.95" in comparison["target"]["rule"]
    base, clip = rows_of(comparison)
    assert base["to_target"]["reached"] == 2
    assert clip["to_target"]["time_s"]["mean"] < base["to_target"]["time_s"]["mean"]


def test_a_target_nobody_reaches_has_no_time(runs: list[LoadedRun]) -> None:
    comparison: Any = compare(runs, target=0.99)
    assert comparison["target"] == {"metric": 0.99, "rule": "given"}
    assert comparison["rows"][0]["to_target"]["reached"] == 0
    assert comparison["rows"][0]["to_target"]["time_s"] == {"mean": None, "spread": None}


def test_where_lower_is_better_the_target_lies_above_and_the_table_says_so(make: Make) -> None:
    """The fake run's metric goes 0.5, 0.7, 0.8, 0.9: as an error, its first round is the best."""
    of_errors: dict[str, object] = {
        "run.metric": "mae",
        "run.metric_unit": "years",
        "run.lower_is_better": True,
        "run.target_metric": 0.75,
    }
    run = make(of_errors)
    comparison: Any = compare([run])
    assert comparison["target"]["metric"] == pytest.approx(0.9 / 0.95)
    row = comparison["rows"][0]
    assert (row["metric"]["best"]["mean"], row["metric"]["final"]["mean"]) == (0.5, 0.9)
    assert row["to_target"]["reached"] == 1
    out = io.StringIO()
    print_comparison(comparison, Console(file=out, width=100))
    assert "final: MAE, years; lower is better" in out.getvalue()
    _, summary = summarise_run(run)
    told: Any = summary
    assert told["to_target"]["round"] == 1
    assert reading.metric_name(summary) == "MAE, years"
    assert reading.metric(summary).endswith("0.5 → 0.9   lowest 0.5")


def test_one_seed_has_no_spread(make: Make) -> None:
    comparison: Any = compare([make({"run.seed": 1})])
    assert comparison["rows"][0]["round_s"]["spread"] is None


def test_baseline_can_be_named(runs: list[LoadedRun]) -> None:
    comparison: Any = compare(runs, baseline="clip")
    assert comparison["baseline"] == {"strategy": "clip", "aggregation": "secagg"}
    assert comparison["rows"][1]["speedup"]["saved"]["mean"] < 0


def test_without_a_common_seed_there_is_no_speedup(make: Make) -> None:
    one = make({"run.strategy": "none", "run.seed": 1})
    other = make({"run.strategy": "clip", "run.seed": 2})
    _, clip = rows_of(compare([one, other]))
    assert clip["speedup"]["pairs"] == 0
    assert clip["speedup"]["saved"]["mean"] is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("run.task", "cifar10"),
        ("run.rounds", 5),
        ("run.net", "packet"),
        ("run.warmup_rounds", 1),
        ("strategy.straggler_share", 0.5),
        ("fleet.name", "other"),
        ("secure_aggregation.threshold", 2),
        ("run.adversary", "active"),
        ("training.epochs", 3),
    ],
)
def test_refuses_and_names_the_key(make: Make, key: str, value: object) -> None:
    with pytest.raises(ComparisonError, match=f"differ in {key}: "):
        compare([make({"run.seed": 1}), make({"run.seed": 2, key: value})])


@pytest.mark.parametrize(
    "other",
    [
        {"run.strategy": "none"},
        {"run.seed": 9},
        {"run.seed": 9, "strategy.seed": 9},
        {"run.aggregation": "plain", "secure_aggregation.threshold": 0, "run.adversary": None},
    ],
)
def test_what_is_compared_may_differ(make: Make, other: dict[str, object]) -> None:
    comparison: Any = compare([make({}), make(other)])
    assert sum(len(row["seeds"]) for row in comparison["rows"]) == 2


def test_hosts_may_differ_but_are_told(make: Make) -> None:
    comparison = compare([make({"run.seed": 1}), make({"run.seed": 2, "versions.torch": "2.14"})])
    assert comparison["notes"] == ["runs differ in versions.torch"]


def test_refuses_the_same_run_twice_nothing_and_unknown_baselines(make: Make) -> None:
    with pytest.raises(ComparisonError, match="same strategy, aggregation and seed"):
        compare([make({}), make({})])
    with pytest.raises(ComparisonError, match="no runs given"):
        compare([])
    with pytest.raises(ComparisonError, match="'fluid' is not among the runs"):
        compare([make({})], baseline="fluid")


def test_flatten_takes_lists_by_position() -> None:
    config = {"a": {"b": [{"c": 1}, {"c": 2}], "d": None}, "e": 3}
    assert flatten(config) == {"a.b.0.c": 1, "a.b.1.c": 2, "e": 3}


def test_table_fits_and_marks_the_unstable(make: Make) -> None:
    steady = make({"run.strategy": "none"}, pruned=False)
    shaky = make({"run.strategy": "clip"}, late_s=0.05)
    console = Console(file=io.StringIO(), width=120, color_system=None)
    print_comparison(compare([steady, shaky]), console)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 100
    (clip,) = [line for line in lines if line.startswith("clip")]
    assert "UNSTABLE" in clip
    assert " 32.6 " in clip
    (none,) = [line for line in lines if line.startswith("none")]
    assert "UNSTABLE" not in none


def test_what_rows_share_is_said_once_and_no_name_is_cut_off(make: Make) -> None:
    long = "clip-network+fedsparsify-global"
    runs = [make({"run.strategy": name, "run.seed": 1}) for name in ("none", long)]
    comparison: Any = compare(runs)
    head, table, _ = printed(comparison, 80).split("\n\n", 2)
    assert "secagg" in head
    assert "1 seed" in head
    assert "secagg" not in table
    told = [line.split()[0] for line in table.splitlines() if line[:1].strip()]
    assert "".join(told) == f"none{long}"  # folded, not cut
    assert "final" in table
    for row in comparison["rows"]:
        row["metric"]["final"] = {"mean": None, "spread": None}
    unmeasured = printed(comparison, 80)
    assert "final" not in unmeasured
    assert "to target" not in unmeasured


def printed(comparison: dict[str, Json], width: int) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    print_comparison(comparison, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_unfinished_runs_are_told(make: Make) -> None:
    run = make({})
    cut = LoadedRun(run.path, run.config, run.items[:-60])
    comparison: Any = compare([cut])
    assert comparison["notes"][0].startswith("clip-network-7 interrupted after")
