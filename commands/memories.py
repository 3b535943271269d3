"""Private state of the clients that a process plays, in a file beside the run's: what a resumed run
needs of them, and what no coordinator may read.

A log: a record for each client and round, appended when the client is done with the round, so that
the state as of any finished round is there whenever the process is killed. What lies before the
coordinator's checkpoint is dropped now and then. The global model that clients have seen is the
same for all and is kept once a round.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from runs.checkpoint import FOLDER
from runs.disk import Appended, Disk
from runs.errors import RunFolderError
from strategies.neurons import MODEL
from strategies.state import State

NAME = "clients.msgpack"
_KINDS = {"f4", "f8", "i4", "i8"}
_SLACK = 2
"""The log may grow to so many times what it held when it was last compacted."""


@dataclass(frozen=True, slots=True, eq=False)
class _Record:
    client: int
    round: int
    state: State


class Memories:
    """Of the clients of one process."""

    def __init__(self, run: Path, disk: Disk | None = None) -> None:
        self.path = run / FOLDER / "workers" / NAME
        self._disk = disk or Disk()
        self._latest: dict[int, _Record] = {}
        self._models: dict[int, NDArray[Any]] = {}
        self._log: Appended[bytes] | None = None
        self._torn = False
        """Whether the disk refused something since the log was last whole."""
        self._size = self._compacted = 0
        self._written: dict[int, NDArray[Any]] = {}
        """By the round in which it was seen, the model last written."""

    def of(self, client: int) -> "ClientMemory":
        return ClientMemory(self, client)

    def recall(self, client: int) -> State | None:
        record = self._latest.get(client)
        return None if record is None else record.state

    def keep(self, client: int, round_: int, state: State) -> None:
        if state.empty:
            return
        self._latest[client] = record = _Record(client, round_, self._shared(state))
        self._append(record)

    def settle(self) -> None:
        """The coordinator has its checkpoint of a round: what was before is not needed."""
        if self._size > _SLACK * self._compacted:
            self._compact()

    def resume(self, round_: int) -> None:
        """Take up what the clients kept when this was the last finished round. Raises
        RunFolderError."""
        if not self.path.exists():
            return
        for record in self._read():
            if record.round <= round_:
                self._latest[record.client] = record
        self._compact()

    def forget(self) -> None:
        """The run is over."""
        self.close()
        self.path.unlink(missing_ok=True)
        with suppress(OSError):  # nothing was kept, or somebody else's file lies there
            self.path.parent.rmdir()

    def close(self) -> None:
        if self._log is not None:
            with suppress(OSError):  # all of it was flushed, or the log is known to be torn
                self._log.close()
            self._log = None

    def _shared(self, state: State) -> State:
        """With one array for the model that all have seen."""
        model = state.arrays.get(MODEL)
        if model is None:
            return state
        seen = int(state.values["seen"])
        known = self._models.get(seen)
        if known is None or not np.array_equal(known, model):
            known = self._models[seen] = model
            for old in [r for r in self._models if r < seen - 2]:
                del self._models[old]
        return State(state.values, {**state.arrays, MODEL: known})

    def _append(self, record: _Record) -> None:
        """A disk that refuses leaves the run without this record, and resuming then goes on from
        the one before. Nothing is written behind a torn record: the log is begun anew instead."""
        if self._torn:
            self._compact()
            return
        data = b"".join(self._packed(record))
        try:
            if self._log is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._log = self._disk.log(self.path)
            self._log.write(data)
            self._log.flush()
        except OSError:
            self._torn = True
            return
        self._size += len(data)

    def _compact(self) -> None:
        self.close()
        self._written = {}
        pieces = [piece for _, r in sorted(self._latest.items()) for piece in self._packed(r)]
        self._torn = True
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._disk.replace(self.path, pieces)
        except OSError:
            return
        self._torn = False
        self._size = self._compacted = sum(map(len, pieces))

    def _packed(self, record: _Record) -> Iterator[bytes]:
        """A record, and before it the model it means if that is not the log's last of its round."""
        arrays = dict(record.state.arrays)
        model = arrays.pop(MODEL, None)
        if model is not None:
            seen = int(record.state.values["seen"])
            if self._written.get(seen) is not model:
                self._written = {seen: model}
                yield msgpack.packb({"model": _pack(model)})
        yield msgpack.packb(
            {
                "client": record.client,
                "round": record.round,
                "values": dict(record.state.values),
                "arrays": {name: _pack(array) for name, array in arrays.items()},
                "has_model": model is not None,
            }
        )

    def _read(self) -> Iterator[_Record]:
        """Up to a record that a killed process left torn."""
        model: NDArray[Any] | None = None
        try:
            with self.path.open("rb") as file:
                for raw in msgpack.Unpacker(file, max_buffer_size=2**31 - 1):
                    if "model" in raw:
                        model = _unpack(raw["model"])
                        continue
                    arrays = {name: _unpack(array) for name, array in raw["arrays"].items()}
                    if raw["has_model"] and model is not None:
                        arrays[MODEL] = model
                    yield _record(raw, arrays)
        except OSError as error:
            raise RunFolderError(f"{self.path}: cannot be read ({error.strerror})") from None
        except (ValueError, KeyError, TypeError) as error:
            raise RunFolderError(f"{self.path}: must be what clients kept ({error})") from None


@dataclass(frozen=True, slots=True)
class ClientMemory:
    """Implements `worker.memory.Memory`."""

    memories: Memories
    client: int

    def recall(self) -> State | None:
        return self.memories.recall(self.client)

    def keep(self, round_: int, state: State) -> None:
        self.memories.keep(self.client, round_, state)


def _record(raw: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> _Record:
    client, round_, values = raw["client"], raw["round"], raw["values"]
    if not (type(client) is int is type(round_) and isinstance(values, dict)):
        raise ValueError("a record without client, round and values")
    return _Record(client, round_, State(values, arrays))


def _pack(array: NDArray[Any]) -> Mapping[str, object]:
    return {"kind": array.dtype.str, "shape": list(array.shape), "data": array.tobytes()}


def _unpack(raw: Mapping[str, Any]) -> NDArray[Any]:
    if raw["kind"].lstrip("<") not in _KINDS:
        raise ValueError(f"an array of {raw['kind']}")
    return np.frombuffer(raw["data"], raw["kind"]).reshape(raw["shape"])
