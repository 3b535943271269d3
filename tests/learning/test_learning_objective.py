"""Objectives: what is trained, what is counted, and which examples are alike."""

import numpy as np
import pytest
import torch

from learning.objective import Classification, Objective, Regression

AGES = Regression("years", 5.0, 20)


def test_classes_are_trained_by_cross_entropy_and_judged_by_hits() -> None:
    outputs, labels = torch.tensor([[2.0, 0.0], [0.5, 1.0], [3.0, 1.0]]), torch.tensor([0, 1, 1])
    objective = Classification(2)
    mean = torch.nn.functional.cross_entropy(outputs, labels)
    torch.testing.assert_close(objective.per_example(outputs, labels).mean(), mean)
    assert objective.scores(outputs, labels).tolist() == [True, True, False]
    assert (objective.metric, objective.unit, objective.lower_is_better) == (
        "accuracy",
        None,
        False,
    )


def test_values_are_trained_on_squared_errors_and_judged_by_absolute_ones() -> None:
    outputs, ages = torch.tensor([[61.0], [70.5]]), torch.tensor([60.0, 75.0])
    assert AGES.per_example(outputs, ages).tolist() == [1.0, 20.25]
    assert AGES.scores(outputs, ages).tolist() == [1.0, 4.5]
    assert (AGES.metric, AGES.unit, AGES.lower_is_better) == ("mae", "years", True)


@pytest.mark.parametrize(
    ("objective", "targets", "strata"),
    [
        (Classification(4), np.array([3, 0, 2]), [3, 0, 2]),
        (AGES, np.array([0.0, 4.99, 5.0, 62.7, 99.0], np.float32), [0, 0, 1, 12, 19]),
        (AGES, np.array([-1.0, 120.0], np.float32), [0, 19]),
    ],
)
def test_alike_are_those_of_a_label_or_a_range_of_values(
    objective: Objective, targets: np.ndarray, strata: list[int]
) -> None:
    found = objective.stratum(targets)
    assert found.tolist() == strata
    assert found.dtype == np.int64


def test_the_card_says_what_there_is() -> None:
    ages = np.array([50, 60, 70], np.float32)
    assert AGES.card(ages) == "50.0 to 70.0 years, mean 60.0, standard deviation 8.2"
    assert (AGES.of_share, AGES.share(ages)) == ("mean years", 60.0)
    assert Classification(9).card(np.array([4, 4, 7])) == "2 labels present"
