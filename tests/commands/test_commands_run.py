"""Whole runs through the command line: local, with worker processes, over TLS, interrupted."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.commands.conftest import Command, one_line
from tests.runs.test_runs_analysis import CONTRACT

ROOT = Path(__file__).parents[2]
LIMIT_S = 60.0
QUICK = (
    *("--strategy", "none", "--set", "training_processes=1"),
    *("--set", "epochs=1", "--set", "batch_size=300"),
)
Fleet = Callable[[int], str]


def read_summary(folder: Path) -> Any:  # noqa: ANN401
    return json.loads((folder / "summary.json").read_text())


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def check_contract(summary: Any, clients: int, rounds: int) -> None:  # noqa: ANN401
    plain = {"schema", "run", "task", "strategy", "clock", "net", "seed", "clients", "rounds"}
    assert summary.keys() >= plain | CONTRACT.keys() | {"phase_s", "stragglers"}
    for key, inner in CONTRACT.items():
        assert summary[key].keys() >= inner
    assert (summary["clients"], summary["rounds"]) == (clients, rounds)
    assert summary["secure_aggregation"]["dropped"] == 0
    assert summary["bytes"]["up"] > 0
    assert summary["phase_s"].keys() >= {"keys", "shares", "download", "fit", "mask", "upload"}


def test_a_local_run(command: Command, fast_fleet: Fleet, tmp_path: Path) -> None:
    out = tmp_path / "run"
    ended = command(
        "--profile", fast_fleet(2), "--rounds", "2", *QUICK, "--out", str(out), "--json"
    )
    assert ended.code == 0, ended.err
    summary = json.loads(ended.out)
    assert summary == read_summary(out)
    check_contract(summary, clients=2, rounds=2)
    assert summary["status"] == "finished"
    assert {path.name for path in out.iterdir()} >= {
        "config.toml",
        "summary.json",
        "rounds.csv",
        "clients.csv",
        "events.jsonl",
        "trace.json",
        "report.html",
        "model.safetensors",
    }
    rows = table(out / "clients.csv")
    assert {(row["device"], row["network"]) for row in rows} == {("fast", "lan-1g")}
    assert [(row["round"], row["client"]) for row in rows] == [
        (str(round_), str(client)) for round_ in (1, 2) for client in (0, 1)
    ]
    assert not re.search(r"Traceback|Error", ended.err)
    again = command("--profile", fast_fleet(2), *QUICK, "--out", str(out))
    assert again.code == 2
    assert one_line(again) == f"--out: {out}: exists and is not empty; nothing is overwritten"
    report = command("report", str(out))
    assert report.code == 0
    assert read_summary(out)["metric"] == summary["metric"]


def test_training_that_diverges_is_one_line_and_told_in_the_record(
    command: Command, fast_fleet: Fleet, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    fleet = ("--profile", fast_fleet(2), "--rounds", "1", "--out", str(out))
    ended = command(*fleet, *QUICK, "--set", "learning_rate=1e30")
    assert ended.code == 3
    *_, last = ended.err.splitlines()
    lost = "no client's vector arrived; lost: 0 in collect, 1 in collect"
    assert last == f"error: round 1: {lost}; 0 finished rounds are kept in {out}"
    assert "TrainingError: client 0, round 1: " in (out / "events.jsonl").read_text()
    assert "Traceback" not in ended.err
    assert read_summary(out)["status"] == "failed"


@contextmanager
def started(*words: str) -> Iterator["subprocess.Popen[str]"]:
    """A command in a process of its own, gone at the end."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run_testbed.py"), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,  # a process group of its own, as in a terminal
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=LIMIT_S)


def heard(process: "subprocess.Popen[str]", pattern: str) -> "tuple[re.Match[str], str]":
    """Read stderr up to a line that matches; returns the match and all that was read."""
    assert process.stderr is not None
    lines = ""
    for line in process.stderr:
        lines += line
        if match := re.search(pattern, line):
            return match, lines
    raise AssertionError(f"ended without {pattern!r}: {lines}")


def test_an_interrupted_run_keeps_its_rounds(fast_fleet: Fleet, tmp_path: Path) -> None:
    """With workers in processes of their own, all of which the terminal interrupts too."""
    out = tmp_path / "run"
    fleet = ("--profile", fast_fleet(2), "--rounds", "100000", "--out", str(out))
    placed = ("--set", "placement=processes", "--set", "processes=1")
    with started(*fleet, *QUICK, *placed) as process:
        _, before = heard(process, r"^round 2 of 100000")
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
        stdout, stderr = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, stdout) == (3, "")
    said = [line for line in (before + stderr).splitlines() if not line.startswith("round ")]
    assert said[0] == "waiting for workers"
    (error,) = said[1:]
    where = re.escape(str(out))
    kept = re.fullmatch(
        rf"error: stopped by the user; (\d+) finished rounds are kept in {where}", error
    )
    assert kept is not None, error
    summary = read_summary(out)
    assert summary["status"] == "interrupted"
    assert summary["rounds"] == int(kept[1]) >= 1
    assert len(table(out / "rounds.csv")) == int(kept[1])
    assert (out / "model.safetensors").stat().st_size > 0
    clients = table(out / "clients.csv")
    assert {row["client"] for row in clients} == {"0", "1"}
    assert float(clients[0]["fit_s"]) > 0  # telemetry came from the other process
    assert "</html>" in (out / "report.html").read_text()


def certificate(folder: Path) -> tuple[str, str]:
    """A certificate of 127.0.0.1, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "testbed")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(built.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(folder / "cert.pem"), str(folder / "key.pem")


def test_a_coordinator_with_workers_from_elsewhere_over_tls(
    command: Command, fast_fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = certificate(tmp_path)
    out, fleet = tmp_path / "run", fast_fleet(2)
    listening = ("coordinator", "--listen", "127.0.0.1:0", "--cert", cert, "--key", key)
    with started(
        *listening, "--profile", fleet, "--rounds", "1", *QUICK, "--out", str(out), "--json"
    ) as process:
        join, _ = heard(process, r"--join (https://\S+) --token (\S+) --device NAME")
        url, token = join[1], join[2]
        device = ("--device", str(Path(fleet).parent / "fast.toml"), "--network", "lan-1g")
        worker = ("worker", "--join", url, "--processes", "1")

        wrong = command(*worker, "--token", "wrong", "--cert", cert, *device)
        assert (wrong.code, one_line(wrong)) == (2, f"--join: {url}: refused: wrong token")
        unknown = command(*worker, "--token", token, *device)
        assert unknown.code == 3
        assert one_line(unknown).startswith(f"cannot reach the coordinator at {url}: ")
        assert token not in wrong.err + unknown.err

        monkeypatch.setenv("TESTBED_TOKEN", token)
        played = command(*worker, "--cert", cert, *device, "--count", "2")
        assert (played.code, played.out) == (0, "")
        joined, left = "joined: fast behind lan-1g\n", "left: all rounds played\n"
        assert played.err == 2 * joined + 2 * left
        stdout, stderr = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, stderr
    check_contract(json.loads(stdout), clients=2, rounds=1)
    assert not any(token in path.read_text() for path in out.glob("*.*") if path.suffix in TEXTS)
    rows = table(out / "clients.csv")
    assert {(row["device"], row["network"]) for row in rows} == {("fast", "lan-1g")}
    assert [row["client"] for row in rows] == ["0", "1"]
    assert all(float(row["upload_s"]) > 0 for row in rows)


TEXTS = {".toml", ".json", ".jsonl", ".csv", ".html"}
