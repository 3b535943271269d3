"""One file from which to go on: values as JSON knows them, and arrays, put in place at once.

Knows their shape, not their meaning. The format is safetensors, the values in its metadata.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from runs.disk import Disk
from runs.errors import RunFolderError

SCHEMA = 1
FOLDER = "checkpoint"
COORDINATOR = f"{FOLDER}/coordinator.safetensors"


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    values: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]


def write_checkpoint(path: Path, checkpoint: Checkpoint, disk: Disk) -> None:
    """Survives the death of this process at any instant. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    said = json.dumps({"schema": SCHEMA, **checkpoint.values})
    tensors = {name: np.ascontiguousarray(array) for name, array in checkpoint.arrays.items()}
    disk.replace(path, [save(tensors, {"values": said})])


def read_checkpoint(path: Path) -> Checkpoint:
    """Raises RunFolderError naming file and rule."""
    try:
        with safe_open(path, "numpy") as file:
            said = json.loads((file.metadata() or {}).get("values", "null"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except OSError as error:
        raise RunFolderError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (SafetensorError, ValueError) as error:
        raise RunFolderError(f"{path}: must be a checkpoint ({error})") from None
    if not isinstance(said, dict) or said.get("schema") != SCHEMA:
        raise RunFolderError(f"{path}: must be a checkpoint of schema {SCHEMA}")
    return Checkpoint(said, arrays)
