"""Splits by age, and the simulated cohort."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.age_partition import AGE_PARTITIONS, MEANS, SIZES
from learning.models import brain_age_cnn
from learning.partition import Partition, PartitionError, split
from learning.simulation import MEAN_AGE, SITES, SUBJECTS, Simulator, Template, ages, sites


def parts(values: np.ndarray, name: str, seed: int = 0) -> list[np.ndarray]:
    years = values.astype(np.float32)
    strata = (years // 5).astype(np.int64)
    return list(split(strata, Partition(name, 8, 1, ages=years), seed))


@given(st.integers(64, 400), st.sampled_from(sorted(AGE_PARTITIONS)), st.integers(0, 9))
@settings(max_examples=8)
def test_every_scan_goes_to_one_silo(count: int, name: str, seed: int) -> None:
    values = np.random.default_rng(seed).normal(62.7, 7.4, count)
    found = parts(values, name, seed)
    assert np.array_equal(np.sort(np.concatenate(found)), np.arange(count))
    again = parts(values, name, seed)
    assert all(np.array_equal(one, same) for one, same in zip(found, again, strict=True))


def test_the_sources_cohort_gets_the_sources_sizes_and_means() -> None:
    values = ages()[: sum(SIZES)]
    uniform, skewed = parts(values, "uniform-noniid"), parts(values, "skewed-noniid")
    wanted = [mean for mean in MEANS for _ in range(2)]
    assert [values[part].mean() for part in uniform] == pytest.approx(wanted, abs=0.3)
    assert {len(part) for part in uniform} <= {1044, 1045}
    assert tuple(map(len, skewed)) == tuple(map(len, parts(values, "skewed-iid"))) == SIZES
    means = [values[part].mean() for part in skewed]
    assert means == pytest.approx([55.4, 68.8, 60.5, 65.8, 65.8, 60.5, 68.8, 55.4], abs=0.8)
    alike = [values[part].mean() for part in parts(values, "uniform-iid")]
    assert alike == pytest.approx([values.mean()] * 8, abs=1.0)


def test_an_older_cohort_of_other_spread_is_split_alike() -> None:
    values = 10 + 2 * ages()[:800]
    means = [values[part].mean() for part in parts(values, "uniform-noniid")]
    assert means == pytest.approx([10 + 2 * mean for mean in MEANS for _ in range(2)], abs=1.5)


def test_splits_by_age_need_ages_and_eight_silos() -> None:
    labels = np.zeros(64, np.int64)
    with pytest.raises(PartitionError, match="skewed-iid: the task has no ages to split by"):
        split(labels, Partition("skewed-iid", 8, 1), 0)
    with pytest.raises(PartitionError, match="skewed-iid: is for 8 clients, not 20"):
        split(labels, Partition("skewed-iid", 20, 1, ages=np.ones(64, np.float32)), 0)


def test_the_simulated_ages_are_spread_like_the_sources() -> None:
    years = ages()
    assert (len(years), len(sites())) == (SUBJECTS, SUBJECTS)
    assert (years.min(), years.max()) == pytest.approx((45, 80), abs=0.1)
    assert (years.mean(), years.std()) == pytest.approx((MEAN_AGE, 7.4), abs=0.05)
    assert set(sites()) == set(range(SITES))


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    """Of a ball with a hollow where ventricles lie, grey on the outside."""
    mm = np.stack(np.meshgrid(*(np.arange(-90, 91, 6.0),) * 3, indexing="ij"))
    out = np.sqrt((mm**2).sum(0))
    hollow = np.sqrt((mm[0] ** 2) + (mm[1] + 14) ** 2 + (mm[2] - 14) ** 2) < 20
    t1 = np.where(hollow, 0.25, np.where(out < 70, 0.9, 0.0)).astype(np.float32)
    affine = np.diag([6.0, 6, 6, 1])
    affine[:3, 3] = -90
    return Simulator(
        Template(t1, ((out > 50) & (out < 70)).astype(np.float32), affine), (12, 14, 12)
    )


def test_a_subject_is_the_same_each_time_and_like_no_other(simulator: Simulator) -> None:
    scans = [simulator(number) for number in (3, 3, 4)]
    assert scans[0].shape == (12, 14, 12)
    np.testing.assert_array_equal(scans[0], scans[1])
    assert np.abs(scans[0] - scans[2]).mean() > 0.01
    assert all(np.isfinite(scan).all() for scan in scans)


def test_the_old_have_wider_ventricles_and_less_grey_matter(simulator: Simulator) -> None:
    order = np.argsort(ages())
    young, old = (
        np.mean([simulator(int(number)) for number in some], axis=0)
        for some in (order[:25], order[-25:])
    )
    at = tuple(
        int((mm - low) / side * n)
        for mm, low, side, n in zip(
            (0.0, -14.0, 14.0), (-91, -127, -73), (182, 218, 182), (12, 14, 12), strict=True
        )
    )
    around = tuple(slice(i - 1, i + 2) for i in at)
    assert old[around].mean() < 0.95 * young[around].mean()
    assert old.mean() < young.mean()


def test_the_full_network_takes_a_step_on_a_scan_of_the_full_grid() -> None:
    model = brain_age_cnn(start=62.0)
    vector = model.initial_vector(0)
    module = model.module(model.structure.sizes, model.structure.named(vector))
    scan = torch.randn(1, 1, 91, 109, 91, generator=torch.Generator().manual_seed(1))
    (module(scan).squeeze(1) - 70.0).square().mean().backward()
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    assert len(gradients) == len(model.structure.parameters)
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
    assert vector[-1] == 62.0


def test_the_head_takes_the_mean_over_what_positions_are_left() -> None:
    """2 x 3 x 2 on the full grid; small grids are halved as long as two positions remain."""
    assert rest((91, 109, 91)) == rest((23, 28, 23)) == [2, 3, 2]
    assert rest((8, 9, 17)) == [2, 2, 2]


def rest(grid: tuple[int, int, int]) -> list[int]:
    with torch.device("meta"):
        model = brain_age_cnn(grid=grid)
        layers = dict(model.build(model.structure.sizes).named_children())
        found = torch.empty(1, 1, *grid)
        for name, layer in layers.items():
            if name == "mean":
                break
            found = layer(found)
    return list(found.shape[2:])
