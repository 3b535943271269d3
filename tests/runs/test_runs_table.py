"""The closing table: its text for a known run, its width, and the mark of an unstable run."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from protocol.telemetry import Json
from runs import words
from runs.analysis import analyse
from runs.summary import summarise
from runs.table import print_closing_table

Fake = Callable[..., Any]
Config = dict[str, object]
GOLDEN = Path(__file__).with_name("golden_table.txt")


def shown(summary: dict[str, Json], width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=False)
    print_closing_table(summary, console, Path("out/fake"))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def fake_summary(config: Config, run: Any) -> dict[str, Json]:  # noqa: ANN401
    return summarise(analyse(config, run.recorder.items), "fake", "finished")


def test_golden(config: Config, fake_run: Fake) -> None:
    """Written by this table once and read by a person; change it only by reading it again."""
    run = fake_run()
    run.whole()
    assert shown(fake_summary(config, run)) == GOLDEN.read_text()


def test_figures_of_stragglers_are_whole_in_a_narrow_terminal(
    config: Config, fake_run: Fake
) -> None:
    run = fake_run()
    run.whole()
    summary: Any = fake_summary(config, run)
    (straggler,) = summary["stragglers"]
    straggler |= {"device": "raspberry-pi-of-a-long-name", "network": "a-network-behind-a-cell"}
    straggler |= {"slow_phase": "download", "phase_excess_s": {"download": 12.34}}
    straggler |= {"keep_ratio": 0.6375, "before_s": 123.4, "after_s": 101.2}
    (row,) = [line for line in shown(summary, 80).splitlines() if "download +" in line]
    for whole in ("2 raspberry", "download +12.34 s", "0.64", "123 s", "101 s"):
        assert whole in row


@pytest.mark.parametrize("width", [80, 100, 200])
def test_never_wider_than_the_terminal_nor_100(config: Config, fake_run: Fake, width: int) -> None:
    run = fake_run()
    run.whole()
    lines = shown(fake_summary(config, run), width).splitlines()
    assert max(map(len, lines)) == min(width, 100)
    assert any("rpi3" in line and "4.50 s" in line for line in lines)


def test_an_unstable_run_s_numbers_carry_the_mark(config: Config, fake_run: Fake) -> None:
    run = fake_run(late_s=0.05)
    run.whole()
    text = shown(fake_summary(config, run))
    marked = [line for line in text.splitlines() if "UNSTABLE" in line]
    assert "UNSTABLE" in text.splitlines()[0]
    for figure in ("mean 6.00 s", "32.6 % shorter", "0.85 in round 4"):
        assert any(figure in line for line in marked)
    assert "4 of 4 rounds may be more than 2.0% too long" in " ".join(text.split())


def test_a_failed_run_says_why(config: Config, fake_run: Fake) -> None:
    run = fake_run()
    run.start()
    ledger = analyse(config, run.recorder.items)
    text = shown(summarise(ledger, "fake", "failed", "3 of 20 workers joined"))
    assert "failed: 3 of 20 workers joined" in text
    assert "not measured" in text


def test_modelled_crypto_and_simulated_data_are_labelled(config: Config, fake_run: Fake) -> None:
    run = fake_run()
    run.whole()
    settings = config["run"]
    assert isinstance(settings, dict)
    modelled = {**config, "run": {**settings, "crypto": "modelled"}}
    assert "MODELLED CRYPTO" in shown(fake_summary(modelled, run))
    assert "MODELLED CRYPTO" not in shown(fake_summary(config, run))
    made_up = {**config, "run": {**settings, "simulated_data": True}}
    assert "SIMULATED DATA" in shown(fake_summary(made_up, run))
    assert "SIMULATED DATA" not in shown(fake_summary(config, run))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"),
        (0.0, "0 ms"),
        (0.0042, "4.2 ms"),
        (0.25, "250 ms"),
        (61.5, "61.50 s"),
        (150, "150 s"),
    ],
)
def test_seconds(value: float | None, said: str) -> None:
    assert words.seconds(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "–"), (12, "12 B"), (1500, "1.5 kB"), (999_600, "1000 kB"), (2.5e9, "2.5 GB")],
)
def test_size(value: float | None, said: str) -> None:
    assert words.size(value) == said


def test_sparkline_spans_lowest_to_highest() -> None:
    assert words.sparkline([0.0, 0.5, 1.0]) == "▁▅█"
    assert words.sparkline([0.3, 0.3]) == "▄▄"
    assert len(words.sparkline([float(i) for i in range(500)])) == 32
