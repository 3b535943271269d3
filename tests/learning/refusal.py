"""Data that a task must refuse, in one line that names the rule and how to get the data."""

from pathlib import Path

import pytest

from learning.task import TaskError, TaskSettings
from learning.tasks import load_task


def refused(task: str, folder: Path, rule: str, clients: int = 2) -> None:
    with pytest.raises(TaskError, match=rule) as error:
        load_task(TaskSettings(task, str(folder), clients))
    assert "\n" not in str(error.value)
    assert "--data" in str(error.value)
