"""Real trace files through the real shaper, on a manual clock: every 10 s window carries what the
trace's own integral says. Their folder is named by STRAGGLER_TRACES; without it this skips."""

import os
from itertools import pairwise
from pathlib import Path

import pytest

from netem.fidelity import FidelityMeter
from netem.link import LinkParameters
from netem.pipe import Pipe
from netem.playback import Playback
from netem.replay import TraceCapacity, follow
from netem.timer import ManualTimer
from profiles.trace import Steps
from tests.netem.test_netem_fidelity import Feeder
from tests.netem.windows import WINDOW_S, link_files, read_link, worst_window

FOLDER = os.environ.get("STRAGGLER_TRACES", "")
FILES = link_files(Path(FOLDER)) if FOLDER else []
MOST_S = 120.0
"""Of each file: enough for every kind of it, in seconds of a test."""
DELAY_S = 0.02


def played(capacity: TraceCapacity, lasting_s: float, late_s: float) -> list[float]:
    """Wire bytes that had arrived by the end of each window."""
    timer, meter = ManualTimer(), FidelityMeter()
    pipe = Pipe(LinkParameters.following(capacity, DELAY_S), timer, meter)
    Feeder(pipe, 1 << 40)
    arrived, at_s = [0.0], WINDOW_S
    while at_s <= lasting_s:
        timer.advance(at_s + DELAY_S, late_s)
        arrived.append(float(pipe.passed.wire))
        at_s += WINDOW_S
    pipe.close()
    return [later - before for before, later in pairwise(arrived)]


@pytest.mark.skipif(not FILES, reason="STRAGGLER_TRACES names no folder of real traces")
@pytest.mark.parametrize(("path", "format_"), FILES, ids=[path.name for path, _ in FILES])
def test_a_real_trace_is_delivered_window_by_window(path: Path, format_: str) -> None:
    rate = read_link(path, format_)
    capacity = follow(rate, Playback(0.0))
    delivered = played(capacity, min(rate.end_s, MOST_S), late_s=0.0003)
    assert delivered
    assert worst_window(capacity, delivered) <= 0.01


def test_windows_are_held_against_the_integral() -> None:
    """The yardstick itself: what is 2 % off is found, even in one window of many."""
    capacity = follow(Steps((0.0, 5.0), (1e6, 0.0), 20.0), Playback(0.0))
    assert worst_window(capacity, [5e6, 0.0, 5e6]) == pytest.approx(0.0)
    assert worst_window(capacity, [5e6, 0.0, 5.1e6]) == pytest.approx(0.02)
    assert worst_window(capacity, [5e6, 1e4, 5e6]) > 1.0
    assert max(played(capacity, 20.0, 0.0)) == pytest.approx(5e6, rel=0.002)
