"""Taking off the delay what the emulation adds."""

import asyncio
import os

from netem.calibration import AddedLatency, measure_added_latency
from netem.device import LinkPair
from netem.link import LinkParameters
from netem.timer import timer_for


def test_delays_are_shortened_but_never_negative() -> None:
    pair = LinkPair(LinkParameters(1e6, 0.025), LinkParameters(2e6, 0.0001))
    calibrated = AddedLatency(up_s=0.001, down_s=0.0005).taken_off(pair)
    assert calibrated == LinkPair(LinkParameters(1e6, 0.024), LinkParameters(2e6, 0.0))


async def test_it_measures_what_is_added_and_leaves_nothing_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    timer = timer_for(asyncio.get_running_loop())
    added = await measure_added_latency(timer, exchanges=5)
    timer.close()
    for _ in range(3):
        await asyncio.sleep(0)
    assert added.up_s >= 0
    assert added.down_s >= 0
    assert len(os.listdir("/proc/self/fd")) == before
    assert asyncio.all_tasks() == {asyncio.current_task()}
