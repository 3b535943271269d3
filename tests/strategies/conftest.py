"""A small network of two hidden layers, described without torch, and an honest curve for it."""

import numpy as np
import pytest

from learning.structure import Axis, Group, Macs, Parameter, Structure, Widths
from strategies.rates import FitCurve

INPUTS, FIRST, SECOND, OUTPUTS = 6, 20, 40, 3


def dense_network() -> Structure:
    first = Axis("first", np.arange(FIRST))
    second = Axis("second", np.arange(SECOND))
    output = Axis("output", np.arange(OUTPUTS))
    groups = [Group("first", FIRST), Group("second", SECOND), Group("output", OUTPUTS, False)]
    parameters = [
        Parameter("first.weight", (FIRST, INPUTS), (first, None), "dense"),
        Parameter("first.bias", (FIRST,), (first,)),
        Parameter("second.weight", (SECOND, FIRST), (second, first), "dense"),
        Parameter("second.bias", (SECOND,), (second,)),
        Parameter("output.weight", (OUTPUTS, SECOND), (output, second), "dense"),
        Parameter("output.bias", (OUTPUTS,), (output,)),
    ]

    def macs(widths: Widths) -> Macs:
        first, second = widths["first"], widths["second"]
        return {
            "first.weight": INPUTS * first,
            "second.weight": first * second,
            "output.weight": second * OUTPUTS,
        }

    return Structure(groups, parameters, macs)


@pytest.fixture(scope="session")
def structure() -> Structure:
    return dense_network()


@pytest.fixture(scope="session")
def curve() -> FitCurve:
    """A tenth of a full fit is fixed."""
    return FitCurve(fixed_s=1.0, s_per_mac=9.0 / dense_network().forward_macs({}))
