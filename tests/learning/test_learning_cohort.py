"""A cohort of one's own: what is read, on which grid, how it is shared out, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from learning.evaluation import evaluate
from learning.prepared import prepared, standardised
from learning.resampling import resampled
from learning.task import TaskError, TaskSettings
from learning.tasks import data_card, initial_vector, load_task
from learning.training import TrainingJob, train

GRID = (8, 8, 8)
COUNT = 20
AGES = np.linspace(50, 78, COUNT)
MNI_2_MM = np.array([[2.0, 0, 0, -90], [0, 2, 0, -126], [0, 0, 2, -72], [0, 0, 0, 1]])


def scan(age: float, shape: tuple[int, ...] = GRID) -> np.ndarray:
    generator = np.random.default_rng(int(age * 10))
    return generator.normal(100 + age, 10, shape).astype(np.float32)


def keep(path: Path, volume: np.ndarray, affine: np.ndarray = MNI_2_MM) -> None:
    nibabel.Nifti1Image(volume, affine).to_filename(path)  # type: ignore[no-untyped-call]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = ["file,age,split,site"]
    for number, age in enumerate(AGES):
        name = f"{number}.nii" + (".gz" if number % 2 else "")
        keep(tmp_path / name, scan(age))
        lines.append(f"{name},{age},{'test' if number % 5 == 0 else 'train'},site {number % 3}")
    (tmp_path / "ages.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def settings(folder: Path, **changes: object) -> TaskSettings:
    chosen = {"clients": 2, "partition": "iid", "grid": "8x8x8"} | changes
    return TaskSettings("brain-age", str(folder), **chosen)  # type: ignore[arg-type]


def test_scans_are_standardised_and_ages_kept_and_both_shared_out(folder: Path) -> None:
    task = load_task(settings(folder))
    inputs, ages = task.corpus.train.batch(np.array([0, 15]))
    assert inputs.shape == (2, 1, *GRID)
    np.testing.assert_allclose(ages.numpy(), [AGES[1], AGES[19]], rtol=1e-6)
    np.testing.assert_allclose(inputs[0, 0].numpy(), standardised(scan(AGES[1])), atol=2e-3)
    assert (len(task.corpus.train), len(task.corpus.test)) == (16, 4)
    card = data_card(task)
    assert "20 scans of ages.csv" in card
    assert "grid 8x8x8" in card
    assert "train 16, test 4, 51.5 to 78.0 years" in card
    assert "SIMULATED" not in card
    assert not task.corpus.simulated
    by_site = load_task(settings(folder, clients=3, partition="natural"))
    assert by_site.partition == "user"
    assert sorted(map(len, by_site.shares)) == [5, 5, 6]


def test_training_begins_at_the_mean_age_and_the_metric_is_the_mean_error(folder: Path) -> None:
    asked = settings(folder)
    task, vector = load_task(asked), initial_vector(asked)
    training, testing = task.corpus.train.labels, task.corpus.test.labels
    assert vector[-1] == pytest.approx(training.mean())
    untrained = evaluate(asked, vector)
    assert untrained.metric == pytest.approx(np.abs(testing - training.mean()).mean(), abs=0.5)
    assert untrained.loss == pytest.approx(((testing - training.mean()) ** 2).mean(), rel=0.1)
    assert untrained.per_client == pytest.approx((untrained.metric,) * 2)
    result = train(TrainingJob(asked, 0, 1, vector, {}, 1, 4, 1e-3, "sgd", max_batches=1))
    assert np.isfinite(result.update).all()
    assert result.update[-1] != 0


def test_without_a_column_of_splits_a_fifth_is_for_testing_by_the_seed(folder: Path) -> None:
    lines = (folder / "ages.csv").read_text().splitlines()
    (folder / "ages.csv").write_text("\n".join(",".join(line.split(",")[:2]) for line in lines))
    one, same, other = (load_task(settings(folder, seed=seed)).corpus for seed in (1, 1, 2))
    assert (len(one.train), len(one.test), one.users) == (16, 4, None)
    np.testing.assert_array_equal(one.test.labels, same.test.labels)
    assert not np.array_equal(one.test.labels, other.test.labels)


def test_prepared_scans_are_read_again_in_place_of_being_made(tmp_path: Path) -> None:
    made: list[int] = []

    def make(index: int) -> np.ndarray:
        made.append(index)
        return scan(50.0 + index)

    for _ in range(2):
        scans = prepared(tmp_path, "some", 3, GRID, make)
        np.testing.assert_allclose(scans[2], standardised(scan(52.0)), atol=2e-3)
    assert made == [0, 1, 2]
    assert [path.name for path in (tmp_path / "prepared").iterdir()] == ["some.npy"]
    with pytest.raises(ValueError, match=r"some\.npy: holds other scans: delete it"):
        prepared(tmp_path, "some", 2, GRID, make)


def test_a_scan_in_mni_space_lies_on_the_usual_grid_as_it_is() -> None:
    volume = scan(60, (91, 109, 91))
    np.testing.assert_allclose(resampled(volume, MNI_2_MM, (91, 109, 91)), volume, rtol=1e-4)


def test_a_cell_is_the_mean_of_what_lies_in_it_and_air_lies_around_the_scan() -> None:
    """A ramp along x in mm, in voxels of 4 mm, flipped: its cells hold their own centres."""
    affine = np.diag([-4.0, 4, 4, 1])
    affine[:3, 3] = 110, -140, -90
    ramp = np.broadcast_to((110 - 4.0 * np.arange(56))[:, None, None], (56, 64, 54))
    found = resampled(ramp.astype(np.float32), affine, (13, 8, 10))
    centres = -91 + 14 * (np.arange(13) + 0.5)
    np.testing.assert_allclose(found[:, 4, 5], centres, atol=1e-3)
    affine[:3, 3] = 110, 0, -90  # the scan's first row is at y = 0
    assert not resampled(ramp.astype(np.float32), affine, (13, 8, 10))[:, :4].any()


Spoil = Callable[[Path], object]


def table(text: str) -> Spoil:
    return lambda folder: (folder / "ages.csv").write_text(text)


def line(text: str) -> Spoil:
    """One more."""

    def write(folder: Path) -> None:
        path = folder / "ages.csv"
        path.write_text(f"{path.read_text()}{text}\n")

    return write


def volume(content: np.ndarray, affine: np.ndarray = MNI_2_MM) -> Spoil:
    return lambda folder: keep(folder / "1.nii.gz", content, affine)


def spoilt_voxel() -> np.ndarray:
    content = scan(60)
    content[1, 2, 3] = np.nan
    return content


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (table("file,years\n"), "column 'years': must be one of file, age, split, site, each once"),
        (table("file,file\n"), "column 'file': must be one of"),
        (table("file\n0.nii\n"), "column age: missing"),
        (table("file,age\n0.nii,60\n"), "must name at least 2 scans, names 1"),
        (table("file,age\n0.nii\n1.nii.gz,60\n"), "line 2: must have 2 columns"),
        (line("0.nii,60,train,a"), "line 22: file: stands there twice"),
        (line("99.nii,60,train,a"), "line 22: file: no such file: 99.nii"),
        (line("0.txt,60,train,a"), "line 22: file: must end in .nii or .nii.gz, got '0.txt'"),
        (line("../0.nii,60,train,a"), "line 22: file: must lie within the folder"),
        (line("0.nii,old,train,a"), "line 22: age: must be years, above 0, at most 130, got 'old'"),
        (line("0.nii,nan,train,a"), "line 22: age: must be years"),
        (line("0.nii,0,train,a"), "line 22: age: must be years"),
        (line("0.nii,131,train,a"), "line 22: age: must be years"),
        (line("0.nii,60,both,a"), "line 22: split: must be train or test, got 'both'"),
        (line("0.nii,60,train,"), "line 22: site: must not be empty"),
        (
            table("file,age,split\n0.nii,60,test\n1.nii.gz,61,test\n"),
            "split: some scans must be train, some test",
        ),
        (lambda folder: (folder / "1.nii.gz").write_bytes(b"no"), "1.nii.gz: not readable"),
        (lambda folder: (folder / "2.nii").write_bytes(bytes(400)), "2.nii: not readable"),
        (volume(scan(60, (8, 8))), "1.nii.gz: shape: must have three axes"),
        (volume(scan(60, (8, 8, 8, 2))), "1.nii.gz: shape: must have three axes"),
        (volume(np.ones(GRID, np.float32)), "1.nii.gz: voxels: are all the same"),
        (volume(spoilt_voxel()), "1.nii.gz: voxels: must be finite"),
        (
            volume(scan(60, (9, 8, 8)), MNI_2_MM + np.array([[0, 0, 0, 999.0]] + [[0] * 4] * 3)),
            "nothing of the scan lies within the grid",
        ),
    ],
)
def test_what_is_refused_by_file_and_rule(folder: Path, spoil: Spoil, rule: str) -> None:
    spoil(folder)
    with pytest.raises(TaskError) as refused:
        load_task(settings(folder))
    assert rule in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not list(folder.glob("prepared/*"))


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"grid": "91x109"}, "grid: must be three sides from 8 to 256"),
        ({"grid": "7x8x8"}, "grid: must be three sides from 8 to 256"),
        ({"partition": "uniform-iid"}, "uniform-iid: is for 8 clients, not 2"),
        ({"name": "digits", "data_dir": None, "partition": "skewed-noniid"}, "has no ages"),
        ({"data_dir": None}, "brain-age: no data folder; pass with --data a folder"),
        ({"data_dir": "/nowhere"}, "/nowhere: no such folder"),
    ],
)
def test_settings_that_are_refused(folder: Path, changes: dict[str, object], rule: str) -> None:
    chosen = {"name": "brain-age", "data_dir": str(folder), "grid": "8x8x8", "clients": 2}
    with pytest.raises(TaskError, match=rule):
        load_task(TaskSettings(**{**chosen, "partition": "iid", **changes}))  # type: ignore[arg-type]


def test_a_folder_without_either_and_another_wheel_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"holds neither ages\.csv nor nilearn-0\.14\.1"):
        load_task(settings(tmp_path))
    (tmp_path / "nilearn-0.14.1-py3-none-any.whl").write_bytes(b"another")
    with pytest.raises(TaskError, match=r"whl: sha256 \w{64} is not the known"):
        load_task(settings(tmp_path, train_examples=4, test_examples=4))
