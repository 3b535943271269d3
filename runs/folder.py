"""The run folder: written while the run goes on, whole at every instant, never overwriting one.

A `Recorder`: it takes spans and events, and a disk that fails meanwhile is reported by `close`,
not raised into whoever records.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from protocol.telemetry import Event, Json, Span
from runs import records, sheets
from runs.analysis import STATUSES, analyse, ending
from runs.config import config_text
from runs.disk import Disk
from runs.errors import RunFolderError
from runs.ledger import Ledger
from runs.loading import load_run
from runs.report import report_html
from runs.settings import read_settings
from runs.summary import summarise
from runs.trace import trace_text
from runs.writer import Writer, refusal

MOST_TRACED = 100_000
"""Spans and events; about 40 MB of trace.json."""


class RunFolder:
    """One run being recorded. Make it with `create`."""

    def __init__(self, path: Path, ledger: Ledger, writer: Writer) -> None:
        self.path = path
        self._ledger = ledger
        self._writer = writer
        self._closed: dict[str, Json] | None = None

    @classmethod
    def create(
        cls, path: Path, config: Mapping[str, object], disk: Disk | None = None
    ) -> "RunFolder":
        """Make the folder and write config.toml; refuses a folder with anything in it."""
        text = config_text(config)
        writer = Writer(path, disk or Disk())
        try:
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                raise RunFolderError(f"{path}: exists and is not empty; nothing is overwritten")
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(refusal(path, error)) from None
        writer.replace("config.toml", [text], durable=True)
        writer.append("events.jsonl", "")
        writer.append("rounds.csv", sheets.header(sheets.ROUND_HEADER))
        writer.append("clients.csv", sheets.header(sheets.CLIENT_HEADER))
        folder = cls(path, Ledger(read_settings(config)), writer)
        folder._write_summary(folder.summary())
        if writer.errors:
            writer.close()
            raise RunFolderError(writer.errors[0])
        return folder

    @classmethod
    def reopen(cls, path: Path, disk: Disk | None = None) -> "RunFolder":
        """Go on recording where a run stopped; its rows are those that its events tell."""
        loaded = load_run(path)
        disk = disk or Disk()
        try:
            disk.cut_torn_line(path / "events.jsonl")
        except OSError as error:
            raise RunFolderError(refusal(path / "events.jsonl", error)) from None
        folder = cls(path, analyse(loaded.config, loaded.items), Writer(path, disk))
        folder._write_rows()
        if folder._writer.errors:
            raise RunFolderError(folder._writer.errors[0])
        return folder

    def record(self, item: Span | Event) -> None:
        """Never raises for the disk's sake; what comes after `close` is not kept."""
        if self._closed is not None:
            return
        line = records.encode(item)
        if isinstance(item, Span) or item.kind == "upload_received":
            self._writer.hold("events.jsonl", line)  # many, and of no use before their round ends
        else:
            self._writer.append("events.jsonl", line)
        finished = self._ledger.add(item)
        if finished is not None:
            self._round_finished(finished)

    def summary(self) -> dict[str, Json]:
        """As it stands; after `close`, as it was written."""
        if self._closed is not None:
            return self._closed
        return summarise(self._ledger, self.path.name, "running")

    def write_model(self, vector: NDArray[np.float32], shapes: Mapping[str, Sequence[int]]) -> None:
        """model.safetensors: the flat vector cut into tensors, in the order of `shapes`."""
        sizes = [int(np.prod(shape, dtype=np.int64)) for shape in shapes.values()]
        if vector.dtype != np.float32 or vector.shape != (sum(sizes),):
            raise RunFolderError(
                f"{self.path / 'model.safetensors'}: the shapes hold {sum(sizes)} float32 values, "
                f"the vector is {vector.dtype} of shape {vector.shape}"
            )
        pieces = np.split(vector, np.cumsum(sizes)[:-1])
        tensors = {
            name: np.ascontiguousarray(piece).reshape(shape)
            for piece, (name, shape) in zip(pieces, shapes.items(), strict=True)
        }
        self._writer.replace("model.safetensors", [save(tensors)], durable=True)

    def close(self, status: str, reason: str | None = None) -> dict[str, Json]:
        """Finalise every file; returns the summary. Raises RunFolderError if the disk refused
        anything since `create` (the summary is still to be had from `summary`)."""
        if status not in STATUSES:
            raise ValueError(f"status must be one of {', '.join(STATUSES)}, is {status!r}")
        if self._closed is not None:
            return self._closed
        if self._ledger.end is None:
            notes: dict[str, Json] = {"status": status, "reason": reason}
            last_s = max((last for _, last in self._ledger.stretches), default=0.0)
            self.record(Event("run_finished", 0, None, last_s, notes))
        self._ledger.settle()
        self._writer.close()
        self._closed = summarise(self._ledger, self.path.name, status, reason)
        self._closed["events_sha256"] = records.digest(self.path / "events.jsonl")
        if self._ledger.revised or self._writer.errors:
            self._write_rows()
        self._writer.replace("report.html", [report_html(self._closed, self._ledger)])
        self._write_trace()
        self._write_summary(self._closed, durable=True)
        if self._writer.errors:
            raise RunFolderError(self._writer.errors[0])
        return self._closed

    def _round_finished(self, round_: int) -> None:
        row = next(row for row in self._ledger.ordered() if row.round == round_)
        clients = self._ledger.clients[round_].values()
        self._writer.append("rounds.csv", sheets.round_line(row))
        self._writer.append("clients.csv", "".join(map(sheets.client_line, clients)))
        self._write_summary(self.summary())

    def _write_summary(self, summary: Mapping[str, Json], *, durable: bool = False) -> None:
        # Laid out for reading once it is final: that takes ten times as long.
        indent = 2 if self._closed is not None else None
        text = json.dumps(records.plain(summary), indent=indent, ensure_ascii=False) + "\n"
        self._writer.replace("summary.json", [text], durable=durable)

    def _write_rows(self) -> None:
        """Once more and whole, now with what arrived after its round was finished."""
        rounds, clients = self._ledger.ordered(), self._ledger.clients
        lines = [sheets.round_line(row) for row in rounds]
        self._writer.replace("rounds.csv", [sheets.header(sheets.ROUND_HEADER), *lines])
        lines = [sheets.client_line(row) for r in rounds for row in clients[r.round].values()]
        self._writer.replace("clients.csv", [sheets.header(sheets.CLIENT_HEADER), *lines])

    def _write_trace(self) -> None:
        """Of a run too large for a timeline viewer, only the rounds that the report draws."""
        items: Iterable[Span | Event] = records.read(self.path / "events.jsonl")
        if self._ledger.items > MOST_TRACED:
            items = (span for spans in self._ledger.drawn.values() for span in spans)
        try:
            pieces = trace_text(items, self._ledger.places)
            self._writer.replace("trace.json", pieces)
        except RunFolderError as error:
            self._writer.errors.append(str(error))


def rebuild(path: Path, disk: Disk | None = None) -> dict[str, Json]:
    """Write everything that is made from a run's events once more; returns the summary. A run
    that never said how it ended was interrupted."""
    folder = RunFolder.reopen(path, disk)
    status, reason = ending(folder._ledger)
    return folder.close(status, reason)
