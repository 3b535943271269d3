"""`profiles import` and `profiles check` of traces, as a user calls them."""

from pathlib import Path

import pytest

from commands.cli import main


def test_a_trace_is_imported_and_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, made = tmp_path / "lte.down", tmp_path / "lte.trace"
    given.write_text("0\n500\n1000\n")
    words = ["profiles", "import", str(given), "--format", "mahimahi", "--out", str(made)]
    assert main(words) == 0
    assert "(straggler trace of device 0, 1 s: down opportunities of" in capsys.readouterr().out
    assert main(["profiles", "check", str(made)]) == 0
    assert main(["profiles", "check", str(given), "--format", "mahimahi"]) == 0
    assert capsys.readouterr().out.count(": good (straggler trace of device 0") == 2
    assert main(words) == 2
    assert capsys.readouterr().err == f"error: {made}: (file): exists already\n"


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("5\n4\n", (), "line 2: times must not decrease"),
        ("5\n", ("--seed", "1"), "--seed: means nothing to the format mahimahi"),
        ("5\n", ("--format", "mahi"), "--format: mahi: unknown format; did you mean mahimahi?"),
        ("5\n", ("--direction", "sideways"), "argument --direction: invalid choice"),
        ("{}", ("--format", "flash-speeds", "--step-s", "0"), "--step-s: must be above 0"),
        ("{}", ("--format", "flash-speeds", "--step-s", "1e-9"), "more than a million steps"),
        ("N.", ("--format", "fedscale-capacity"), "needs --reference-ms"),
    ],
)
def test_what_cannot_be_imported_leaves_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str,
    options: tuple[str, ...],
    message: str,
) -> None:
    given = tmp_path / "given"
    given.write_text(content)
    out = str(tmp_path / "out.trace")
    words = ["profiles", "import", str(given), "--format", "mahimahi", "--out", out, *options]
    assert main(words) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [given]
