"""A cohort of one's own: a folder of NIfTI files and `ages.csv`, which says whose age each shows.

Columns of `ages.csv`, with a head line: `file` (a path within the folder), `age` (years), and
optionally `split` (`train` or `test`) and `site` (any name), each for all lines or for none. Must
not know tasks or how scans are resampled.
"""

import csv
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from learning.partition import Indices, Labels

TABLE = "ages.csv"
COLUMNS = ("file", "age", "split", "site")
NEEDED = COLUMNS[:2]
ENDINGS = (".nii", ".nii.gz")
OLDEST = 130.0


class CohortError(ValueError):
    """A table that cannot be used: one line with file, line, key and rule."""


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    files: tuple[Path, ...]
    ages: NDArray[np.float32]
    testing: NDArray[np.bool_] | None
    """Which scans are for testing; None: the table does not say."""
    sites: Labels | None
    """Where each was taken, numbered from 0."""
    digest: str
    """SHA-256 of the table, and of the size and time of change of every file."""

    def split(self, seed: int) -> tuple[Indices, Indices]:
        """Training and test scans, ascending: as the table says, else a fifth is for testing, drawn
        by the seed."""
        testing = self.testing
        if testing is None:
            generator = np.random.default_rng([seed, 0x7E57])  # a stream of its own
            testing = np.zeros(len(self.files), np.bool_)
            testing[generator.permutation(len(self.files))[: round(len(self.files) / 5)]] = True
        return np.flatnonzero(~testing), np.flatnonzero(testing)


def read_cohort(folder: Path) -> Cohort:
    path = folder / TABLE
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CohortError(f"{path}: not readable as CSV: {error}") from error
    _check_columns(path, reader.fieldnames or (), rows)
    where = [f"{path}: line {number}" for number in range(2, len(rows) + 2)]
    pairs = list(zip(where, rows, strict=True))
    files = tuple(_file(at, row, folder) for at, row in pairs)
    ages = np.array([_age(at, row) for at, row in pairs], np.float32)
    testing = sites = None
    if "split" in rows[0]:
        testing = np.array([_split(at, row) for at, row in pairs])
        if testing.all() or not testing.any():
            raise CohortError(f"{path}: split: some scans must be train, some test")
    if "site" in rows[0]:
        named = np.array([_site(at, row) for at, row in pairs])
        sites = np.unique(named, return_inverse=True)[1].astype(np.int64)
    seen: set[Path] = set()
    for at, scan in zip(where, files, strict=True):
        if scan in seen:
            raise CohortError(f"{at}: file: stands there twice")
        seen.add(scan)
    return Cohort(files, ages, testing, sites, _digest(path, files))


def _check_columns(path: Path, found: object, rows: list[dict[str, str]]) -> None:
    columns = list(found) if isinstance(found, list | tuple) else []
    for column in columns:
        if column not in COLUMNS or columns.count(column) > 1:
            known = ", ".join(COLUMNS)
            raise CohortError(f"{path}: column {column!r}: must be one of {known}, each once")
    for column in NEEDED:
        if column not in columns:
            raise CohortError(f"{path}: column {column}: missing")
    if len(rows) < 2:
        raise CohortError(f"{path}: must name at least 2 scans, names {len(rows)}")
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise CohortError(f"{path}: line {number}: must have {len(columns)} columns")


def _file(at: str, row: Mapping[str, str], folder: Path) -> Path:
    name = row["file"]
    path = folder / name
    if not name.endswith(ENDINGS):
        raise CohortError(f"{at}: file: must end in {' or '.join(ENDINGS)}, got {name!r}")
    if not path.resolve().is_relative_to(folder.resolve()):
        raise CohortError(f"{at}: file: must lie within the folder, got {name!r}")
    if not path.is_file():
        raise CohortError(f"{at}: file: no such file: {name}")
    return path


def _age(at: str, row: Mapping[str, str]) -> float:
    try:
        age = float(row["age"])
    except ValueError:
        age = math.nan
    if not 0 < age <= OLDEST:
        raise CohortError(f"{at}: age: must be years, above 0, at most 130, got {row['age']!r}")
    return age


def _split(at: str, row: Mapping[str, str]) -> bool:
    if row["split"] not in ("train", "test"):
        raise CohortError(f"{at}: split: must be train or test, got {row['split']!r}")
    return row["split"] == "test"


def _site(at: str, row: Mapping[str, str]) -> str:
    if not row["site"]:
        raise CohortError(f"{at}: site: must not be empty")
    return row["site"]


def _digest(table: Path, files: tuple[Path, ...]) -> str:
    """Cheap, as it is taken at every start: a scan is taken to be the same as long as its size and
    its time of change are."""
    digest = hashlib.sha256(table.read_bytes())
    for file in files:
        status = file.stat()
        digest.update(f"{file.name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
