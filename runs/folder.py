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
from runs.analysis import STATUSES, ending
from runs.checkpoint import COORDINATOR, Checkpoint, write_checkpoint
from runs.config import config_text
from runs.disk import Disk
from runs.errors import RunFolderError
from runs.ledger import Ledger
from runs.loading import load_config
from runs.report import report_html
from runs.roll import kept_lines, round_lines, streamed_lines
from runs.settings import read_settings
from runs.summary import summarise
from runs.trace import trace_text
from runs.updates import drop_after
from runs.writer import Writer, refusal

MOST_TRACED = 100_000
"""Spans and events; about 40 MB of trace.json."""
MOST_HELD = 256
"""Spans that a killed run loses at most."""


class RunFolder:
    """One run being recorded. Make it with `create`."""

    def __init__(self, path: Path, ledger: Ledger, writer: Writer) -> None:
        self.path = path
        self._ledger = ledger
        self._writer = writer
        self._disk = writer.disk
        self._closed: dict[str, Json] | None = None
        self._held: list[Span | Event] = []
        """To be written together: each for itself would take longer than all the rest."""
        self._last: tuple[int, int] = (0, 0)
        """The last round in clients.csv, and the size of the file without it."""
        self._size = 0
        self._disordered = False
        """Whether a round was finished that was there already."""

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
        folder._size = len(sheets.header(sheets.CLIENT_HEADER))
        folder._write_summary(folder.summary())
        if writer.errors:
            writer.close()
            raise RunFolderError(writer.errors[0])
        return folder

    @classmethod
    def reopen(cls, path: Path, disk: Disk | None = None) -> "RunFolder":
        """Go on recording where a run stopped; its rows are those that its events tell."""
        config, disk = load_config(path), disk or Disk()
        try:
            disk.cut_torn_line(path / "events.jsonl")
        except OSError as error:
            raise RunFolderError(refusal(path / "events.jsonl", error)) from None
        folder = cls(path, Ledger(read_settings(config)), Writer(path, disk))
        folder._write_rows(streamed_lines(folder._ledger, records.read(path / "events.jsonl")))
        if folder._writer.errors:
            raise RunFolderError(folder._writer.errors[0])
        try:
            folder._size = (path / "clients.csv").stat().st_size
        except OSError as error:
            raise RunFolderError(refusal(path / "clients.csv", error)) from None
        folder._disordered = True  # where its last round begins is not known
        return folder

    @classmethod
    def resume(cls, path: Path, checkpoint: Checkpoint, disk: Disk | None = None) -> "RunFolder":
        """Go on after the last finished round. What was recorded since is dropped, updates kept of
        it too, but for phases of finished rounds that were told late."""
        size, round_ = int(checkpoint.values["events_bytes"]), int(checkpoint.values["round"])
        file, disk = path / "events.jsonl", disk or Disk()
        late = [
            item
            for item in records.read(file, size)
            if isinstance(item, Span) and 0 < item.round <= round_
        ]
        try:
            disk.cut(file, size)
            drop_after(path, round_)
        except OSError as error:
            raise RunFolderError(refusal(file, error)) from None
        folder = cls.reopen(path, disk)
        for item in late:
            folder.record(item)
        return folder

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep from what to go on, as of everything recorded until now."""
        self._release()
        try:
            size = (self.path / "events.jsonl").stat().st_size
            values = {**checkpoint.values, "events_bytes": size}
        except OSError as error:
            self._writer.errors.append(refusal(self.path / COORDINATOR, error))
        else:
            self.keep(COORDINATOR, Checkpoint(values, checkpoint.arrays))

    def keep(self, name: str, values: Checkpoint) -> None:
        """Put values and arrays in place, at once and whole."""
        try:
            write_checkpoint(self.path / name, values, self._disk)
        except OSError as error:
            self._writer.errors.append(refusal(self.path / name, error))

    def record(self, item: Span | Event) -> None:
        """Never raises for the disk's sake; what comes after `close` is not kept."""
        if self._closed is not None:
            return
        held = self._held
        held.append(item)
        if len(held) >= MOST_HELD or not (type(item) is Span or item.kind == "upload_received"):  # type: ignore[union-attr]
            self._release()
        finished = self._ledger.add(item)
        if finished is not None:
            self._round_finished(finished)

    def _release(self) -> None:
        if self._held:
            self._writer.append("events.jsonl", records.encode(self._held))
            self._held.clear()

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
        self._release()
        self._revise()
        self._writer.close()
        self._closed = summarise(self._ledger, self.path.name, status, reason)
        self._closed["events_sha256"] = records.digest(self.path / "events.jsonl")
        if self._disordered or self._writer.errors:
            self._write_rows(self._all_client_lines())
        elif self._ledger.revised:
            self._write_rounds()
        self._writer.replace("report.html", [report_html(self._closed, self._ledger)])
        self._write_trace()
        self._write_summary(self._closed, durable=True)
        if self._writer.errors:
            raise RunFolderError(self._writer.errors[0])
        return self._closed

    def _round_finished(self, round_: int) -> None:
        self._revise()
        self._disordered |= round_ <= self._last[0]
        row = next(row for row in self._ledger.ordered() if row.round == round_)
        self._writer.append("rounds.csv", sheets.round_line(row))
        self._append_clients(round_)
        self._write_summary(self.summary())

    def _append_clients(self, round_: int) -> None:
        lines = round_lines(self._ledger.clients[round_].values())
        self._writer.append("clients.csv", lines)
        self._last = round_, self._size
        self._size += len(lines.encode())

    def _revise(self) -> None:
        """What arrives late for a round does so before the next is finished: its rows are the last
        in their file."""
        round_, size = self._last
        if round_ in self._ledger.revised and not self._disordered:
            self._writer.cut("clients.csv", size)
            self._size = size
            self._append_clients(round_)

    def _write_summary(self, summary: Mapping[str, Json], *, durable: bool = False) -> None:
        # Laid out for reading once it is final: that takes ten times as long.
        indent = 2 if self._closed is not None else None
        text = json.dumps(records.plain(summary), indent=indent, ensure_ascii=False) + "\n"
        self._writer.replace("summary.json", [text], durable=durable)

    def _write_rows(self, client_lines: Iterable[str]) -> None:
        """Once more and whole."""
        self._writer.replace("clients.csv", client_lines)
        self._write_rounds()

    def _write_rounds(self) -> None:
        lines = [sheets.round_line(row) for row in self._ledger.ordered()]
        self._writer.replace("rounds.csv", [sheets.header(sheets.ROUND_HEADER), *lines])

    def _all_client_lines(self) -> Iterable[str]:
        if not self._ledger.tallies:
            return kept_lines(self._ledger)
        items = records.read(self.path / "events.jsonl")
        return streamed_lines(Ledger(self._ledger.settings), items)

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
