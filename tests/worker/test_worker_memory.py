"""What a client kept before a restart is taken up, or refused by one line."""

from pathlib import Path

import numpy as np
import pytest

from strategies.rates import FitCurve
from strategies.state import State, StateError
from tests.rounds.conftest import small_study
from worker.client import _restore

FOREIGN = [
    State({"own": 7}),
    State({"own": [1.0]}),
    State({"own": None}),
    State({"own": None, "observed": "x"}),
    State({"own": None, "observed": 1}, {"streak/conv1": np.zeros(3)}),
    State({"own": None, "observed": 1}, {"model": np.zeros(3)}),
]


@pytest.mark.parametrize("kept", FOREIGN, ids=str)
def test_what_another_run_kept_is_refused(tmp_path: Path, kept: State) -> None:
    study = small_study(tmp_path, 5, strategy="clip-network")
    curve = FitCurve(1.0, 1e-9)
    half = study.strategy.client(study.strategy_settings, 0, study.task.structure, curve)
    _restore(half, None)
    _restore(half, half.state())
    with pytest.raises(StateError, match=r"^what was kept is not of this run "):
        _restore(half, kept)
