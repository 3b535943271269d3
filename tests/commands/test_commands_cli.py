"""The command line's ends: exit codes, and one line on stderr that says where, what and why."""

import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands.conftest import Command, one_line, words

WORKER = "worker --join http://127.0.0.1:1 --token x"
BAD_INPUT = [
    # words, how the line begins
    ("frobnicate", "run_testbed.py: argument COMMAND: invalid choice: 'frobnicate'"),
    ("--frobnicate", "run_testbed.py: unrecognized arguments: --frobnicate"),
    ("--rounds x", "run_testbed.py run: argument --rounds: invalid int value: 'x'"),
    ("--rounds 0", "--rounds: must be at least 1, got 0"),
    ("--seed 99999999999999999999", "--seed: must be at most 2^63 - 1"),
    ("--set rounds", "--set: 'rounds': must be KEY=VALUE"),
    ("--profile nonesuch", "nonesuch: fleet: no shipped fleet is named 'nonesuch'; known: "),
    ("--profile {missing}", "{missing}: (file): does not exist"),
    ("--profile {folder}", "{folder}: (file): cannot be read"),
    ("--profile {junk}", "{junk}: "),
    ("--profile {device}", "{device}: "),
    ("--experiment {missing}", "--experiment: {missing}: no such experiment or file"),
    ("--experiment {junk}", "{junk}: not readable as TOML: "),
    ("--task nonesuch", "task must be one of digits, cifar10, "),
    ("--strategy fluid", "strategy: fluid: needs single updates: aggregation=plain"),
    ("--task femnist --data {missing}", "{missing}: no such folder"),
    ("--data {folder}", "digits: takes no --data"),
    ("--strategy nonesuch", "strategy: nonesuch: no strategy of that name; choose from none, "),
    ("--set ring_bits=7", "ring_bits must be one of (16, 24, 32, 40, 64), not 7"),
    ("--set partition=pie", "digits: partition must be one of "),
    ("--set optimiser=hope", "optimiser: must be one of sgd, adam, got 'hope'"),
    ("--clock virtual --set placement=processes", "clock: virtual: placement=processes: several"),
    ("coordinator --listen 127.0.0.1:0 --clock virtual", "clock: virtual: not with `coordinator`"),
    ("worker --clock virtual", "run_testbed.py"),
    ("--set threshold=21", "threshold 21 is more than the 20 participants"),
    ("--set threshold=1", "threshold 1 is below 2"),
    (
        "--profile cross-silo-8 --strategy exclude --set threshold=8",
        "strategy: exclude: may leave out 1 of 8 clients, and among 7 no secure sum is possible: ",
    ),
    (
        "--set aggregation=secagg+ --set adversary=active --set crowd=19",
        "no number of chosen neighbours among 20 clients is safe with 2 corrupt",
    ),
    (
        "--set aggregation=secagg+ --set adversary=active --set neighbours=8 --set threshold=5",
        "8 chosen neighbours and threshold 5 among 20 clients, 2 corrupt: both secrets",
    ),
    ("--set adversary=active --set crowd=13", "threshold 14 must be at least the 2 corrupt"),
    ("--set straggler_share=1", "strategy: straggler_share: must be a number in [0, 1)"),
    ("--set evidence=rumour", "strategy: evidence: must be one of local, global"),
    ("--out {full}", "--out: {full}: exists and is not empty; nothing is overwritten"),
    ("--out {junk}", "--out: {junk}: exists and is not empty; nothing is overwritten"),
    ("--out {junk}/below", "--out: {junk}/below: cannot be written (Not a directory)"),
    ("compare --strategies none,none", "--strategies: 'none,none': must be distinct names"),
    ("compare --strategies none,", "--strategies: 'none,': must be distinct names"),
    ("compare --strategies none --seeds 0", "--seeds: must be at least 1, got 0"),
    (
        "compare",
        "compare: --strategies A,B,..., an --experiment that lists them, or",
    ),
    ("compare --strategies none --out {full}", "--out: {full}: exists and is not empty"),
    ("report {missing}", "{missing}: must be a run folder"),
    ("report {folder}", "{folder}/config.toml: cannot be read"),
    ("report", "run_testbed.py report: the following arguments are required: RUN_DIR"),
    ("profiles show nonesuch", "nonesuch: profile: no shipped profile is named 'nonesuch'"),
    ("profiles check nonesuch", "nonesuch: (file): does not exist"),
    ("profiles check {junk}", "{junk}: "),
    ("profiles", "run_testbed.py profiles: the following arguments are required: "),
    ("worker --join http://x --device pixel2", "--token: missing (or set TESTBED_TOKEN)"),
    ("worker --join ftp://x --token x", "--join: 'ftp://x': must be an http or https URL"),
    ("worker --token x", "run_testbed.py worker: the following arguments are required: --join"),
    (WORKER, "--device, --profile: exactly one of them says what to play"),
    (f"{WORKER} --device pixel2 --profile mixed-20", "--device, --profile: exactly one of them"),
    (f"{WORKER} --device nonesuch", "nonesuch: device: no shipped device is named 'nonesuch'"),
    (f"{WORKER} --device pixel2 --network nonesuch", "nonesuch: network: no shipped network"),
    (
        f"{WORKER} --profile mixed-20 --identities {{missing}} --crowd 1",
        "--crowd: must be at least 2, got 1",
    ),
    (f"{WORKER} --device pixel2 --count 0", "--count: must be at least 1, got 0"),
    (f"{WORKER} --device pixel2 --processes 0", "--processes: must be at least 1, got 0"),
    (f"{WORKER} --device pixel2 --processes -1", "--processes: must be at least 1, got -1"),
    (f"{WORKER} --device pixel2 --time-scale nan", "--time-scale: must be positive and finite"),
    (f"{WORKER} --device pixel2 --cert {{missing}}", "--cert: {missing}: No such file"),
    (f"{WORKER} --device pixel2 --cert {{junk}}", "--cert: {junk}: "),
    (f"{WORKER} --profile mixed-20 --members 20", "--members: '20': must be numbers below 20"),
    (f"{WORKER} --profile mixed-20 --members 1,,2", "--members: '1,,2': must be numbers below 20"),
    ("coordinator", "run_testbed.py coordinator: the following arguments are required: --listen"),
    ("coordinator --listen nowhere", "--listen: 'nowhere': must be HOST:PORT"),
    ("coordinator --listen x:99999", "--listen: 'x:99999': must be HOST:PORT"),
    ("coordinator --listen x:²", "--listen: 'x:²': must be HOST:PORT"),
    ("coordinator --listen x:0 --cert {junk}", "--cert, --key: both or neither"),
    ("coordinator --listen x:0 --cert {junk} --key {junk}", "--cert: {junk}: "),
    ("coordinator --listen x:0 --cert {missing} --key {missing}", "--cert: {missing}: No such"),
]


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    """Files and folders that a careless hand may name."""
    found = {
        "junk": tmp_path / "junk.toml",
        "full": tmp_path / "full",
        "folder": tmp_path / "empty",
        "missing": tmp_path / "missing.toml",
        "device": tmp_path / "device.toml",
    }
    found["junk"].write_text("this = is = not = toml\n")
    found["device"].write_text('title = "not a fleet"\n')
    found["folder"].mkdir()
    found["full"].mkdir()
    (found["full"] / "kept.txt").write_text("kept")
    return found


@pytest.mark.parametrize(("line", "begins"), BAD_INPUT)
def test_bad_input_is_one_line_and_leaves_nothing(
    command: Command,
    places: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    line: str,
    begins: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    ended = command(*words(line, **places))
    assert one_line(ended).startswith(begins.format(**places))
    assert ended.code == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_a_coordinator_that_is_not_there(command: Command) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    ended = command("worker", "--join", url, "--token", "x", "--device", "pixel2")
    assert ended.code == 3
    assert one_line(ended).startswith(f"cannot reach the coordinator at {url}: ")


def test_a_url_that_is_none(command: Command) -> None:
    ended = command("worker", "--join", "http://127.0.0.1:99999", "--token", "x", *PIXEL)
    assert ended.code == 3
    assert one_line(ended).startswith("cannot reach the coordinator at http://127.0.0.1:99999")


PIXEL = ("--device", "pixel2")


def test_a_port_that_is_in_use(command: Command, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        out = tmp_path / "run"
        ended = command("coordinator", "--listen", address, "--out", str(out))
    assert ended.code == 2
    assert one_line(ended).startswith(f"--listen: {address}: ")
    assert "address already in use" in ended.err.lower()
    assert not out.exists()


@pytest.mark.parametrize("line", ["--help", "-h", "run --help", "worker --help", "profiles -h"])
def test_help_is_no_error(command: Command, line: str) -> None:
    with pytest.raises(SystemExit) as raised:
        command(*words(line))
    assert raised.value.code == 0


def test_profiles_are_listed_shown_and_checked(command: Command, places: dict[str, Path]) -> None:
    listed = command("profiles", "list")
    assert listed.code == 0
    assert all(name in listed.out for name in ("mixed-20", "pixel2", "verizon-lte"))
    for name, words_ in (("mixed-20", "20 clients"), ("driving", "note: synthetic")):
        shown = command("profiles", "show", name)
        assert (shown.code, shown.err) == (0, "")
        assert words_ in shown.out
    source = Path(__file__).parents[2] / "profiles" / "devices" / "pixel2.toml"
    checked = command("profiles", "check", str(source))
    assert checked.code == 0
    assert checked.out == f"{source}: good (device pixel2)\n"


@pytest.mark.parametrize(
    ("fleet", "stragglers"), [("mixed-20", ["16", "17", "18", "19"]), ("uniform-20", [])]
)
def test_a_dry_run_names_the_stragglers(
    command: Command, monkeypatch: pytest.MonkeyPatch, fleet: str, stragglers: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    ended = command("--profile", fleet, "--dry-run")
    assert (ended.code, ended.err) == (0, "")
    rows = [line.split() for line in ended.out.splitlines()]
    rows = [row for row in rows if row and row[0].isdecimal() and len(row) > 8]
    assert [row[0] for row in rows] == [str(client) for client in range(20)]
    assert [row[0] for row in rows if row[-1] == "straggler"] == stragglers


def test_a_dry_run_makes_nothing(
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    fast_fleet: Callable[[int], str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command("--profile", fast_fleet(2), "--dry-run").code == 0
    assert list(tmp_path.iterdir()) == []


def test_junk_is_no_certificate(places: dict[str, Path]) -> None:
    """What the table above relies on."""
    with pytest.raises(ssl.SSLError):
        ssl.create_default_context(cafile=str(places["junk"]))
