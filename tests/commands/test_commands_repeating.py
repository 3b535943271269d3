"""verify tells a host that stood still for a moment from a link that is wrong."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from commands.emulation import Site, links_of
from commands.verification.bounds import (
    RATE,
    TRANSFER,
    jitter_off,
    late_off,
    rate_off,
    rates_off,
    transfer_off,
    trip_off,
)
from commands.verification.far_end import far_end
from commands.verification.figure import Pair
from commands.verification.kernels import against_kernel
from commands.verification.measuring import QUICK, Bench, one_link
from commands.verification.one_round import RoundResult
from commands.verification.pages import as_page
from commands.verification.repeating import Repeats
from commands.verification.replays import ReplayResult, middles
from commands.verification.shown import print_tables
from commands.verification.written import as_json
from netem.access import StreamAccess
from netem.device import LinkPair
from netem.fidelity import FidelityMeter
from netem.timer import timer_for
from profiles import load_device, load_network
from tests.commands.test_commands_verify import GOOD, LINK, LOSS, REPLAY, ROUND, SHARE

ASKED = 1e6


class Clock:
    """Moved by hand, by what a measurement takes."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def measuring(
    clock: Clock, values: Iterator[float], taken_s: float = 1.0
) -> Callable[[], Awaitable[Pair]]:
    async def measure() -> Pair:
        clock.now_s += taken_s
        return Pair("up", ASKED, next(values))

    return measure


async def rate(values: list[float], left_s: float = 100.0) -> Pair:
    clock = Clock()
    return await Repeats(left_s, clock).pair(measuring(clock, iter(values)), rate_off)


async def test_what_is_within_its_bound_is_measured_once() -> None:
    found = await rate([0.995e6])
    assert (found.delivered, found.tried, found.repeated) == (0.995e6, (0.995e6,), False)


async def test_one_stall_is_no_error_of_the_link() -> None:
    found = await rate([0.95e6, 0.999e6, 1.001e6])
    assert rate_off(found) < 1
    assert found.tried == (0.95e6, 0.999e6, 1.001e6), "nothing is hidden"


@pytest.mark.parametrize(
    "values",
    [
        [0.95e6, 0.95e6, 0.95e6],
        [0.95e6, 0.999e6, 0.96e6],
        [0.95e6, 1.05e6, 1.0e6],  # their median would be right; two of three are wrong
    ],
)
async def test_a_link_that_is_wrong_is_still_wrong(values: list[float]) -> None:
    found = await rate(values)
    assert rate_off(found) > 1
    broken = replace(GOOD, links=(replace(LINK, rates=(found,)),))
    (rule,) = broken.broken()
    assert rule == f"dsl: rate up off by {found.error:+.2%}, bound 1.0%, the middle one of 3"


@given(
    spoiled=st.floats(1.5 * RATE, 0.5),
    noise=st.lists(st.floats(-0.4 * RATE, 0.4 * RATE), min_size=3, max_size=3),
    sign=st.sampled_from((-1, 1)),
)
async def test_a_constant_error_never_passes(spoiled: float, noise: list[float], sign: int) -> None:
    found = await rate([ASKED * (1 + sign * spoiled + each) for each in noise])
    assert rate_off(found) > 1


@given(st.lists(st.floats(0.5e6, 1.5e6), min_size=3, max_size=3))
async def test_two_of_three_decide(values: list[float]) -> None:
    found = await rate(values)
    within = [rate_off(Pair("up", ASKED, value)) <= 1 for value in values]
    assert (rate_off(found) <= 1) == (within[0] or sum(within) >= 2)
    assert len(found.tried) == (1 if within[0] else 3)


async def test_what_gives_no_figure_is_off() -> None:
    clock = Clock()
    values = iter([Pair("up", ASKED, value) for value in (0.9e6, None, None)])

    async def measure() -> Pair:
        return next(values)

    found = await Repeats(9.0, clock).pair(measure, rate_off)
    assert (found.delivered, found.tried) == (None, (0.9e6, None, None))
    off = Pair("x", 1.0, None)
    assert min(rate_off(off), trip_off(off), jitter_off(off), late_off(off)) > 1
    assert transfer_off(off, 0.03) > 1


async def test_time_for_repetitions_is_bounded() -> None:
    """Ten links that are all wrong, a second each: two of them are measured again."""
    clock = Clock()
    repeats = Repeats(5.0, clock)
    wrong = [measuring(clock, iter([9e5] * 3)) for _ in range(10)]
    found = [await repeats.pair(measure, rate_off) for measure in wrong]
    assert [pair.repeated for pair in found] == [True, True] + [False] * 8
    assert clock.now_s == 14.0
    assert all(rate_off(pair) > 1 for pair in found), "judged as they are"


async def test_a_round_is_judged_by_the_middle_one() -> None:
    late = [replace(ROUND, taken=(Pair("client 0", 10.0, 10.0 + off),)) for off in (0.3, 0.1, 0.25)]
    clock, rounds = Clock(), iter(late)

    async def measure() -> RoundResult:
        return next(rounds)

    found, tried = await Repeats(60.0, clock).judged(measure, lambda one: one.off(True))
    assert (found, tried) == (late[2], tuple(late))
    shown = replace(GOOD, round=replace(found, tried=tried))
    assert shown.broken() == ["all at once: a round off by +2.5%, bound 2%, the middle one of 3"]
    assert late[0].off(False) < 1, "where chance decides how long it takes, rates alone are judged"
    wrong = replace(ROUND, errors=((0, "up", 0.03),))
    assert wrong.off(True) == rates_off(0.03, 0.03) == pytest.approx(6)


def test_a_direction_of_a_trace_that_was_within_at_first_stays() -> None:
    def window(delivered: float) -> ReplayResult:
        return replace(REPLAY, windows=(Pair("0.5 s", 1e6, delivered),))

    first, other = middles(
        [
            [window(1.001e6), window(0.9e6)],
            [window(0.8e6), window(1e6)],
            [window(0.7e6), window(0.999e6)],
        ]
    )
    assert (first.windows[0].delivered, len(first.tried)) == (1.001e6, 1)
    assert (other.windows[0].delivered, len(other.tried)) == (0.999e6, 3)
    (alone,) = middles([[window(0.9e6)]])
    assert (alone.within, len(alone.tried)) == (False, 1)


def test_repetitions_are_counted_and_shown() -> None:
    slow = replace(LINK.transfers[0], tried=(1.12, 1.02, 1.01))
    mine = replace(LINK, transfers=(slow,))
    theirs = replace(LINK, transfers=(Pair("1 MB up", 1.0, 1.03, (1.2, 1.03, 1.01)),))
    lost = replace(LOSS, transfers=Pair("3 × 1 MB", 4.0, 4.1, (4.7, 4.1, 4.0)))
    sharing = replace(SHARE, tried=(replace(SHARE, jain=0.9), SHARE, SHARE))
    traced = replace(REPLAY, tried=(REPLAY, REPLAY, REPLAY))
    rounds = replace(ROUND, tried=(ROUND, ROUND, ROUND))
    found = replace(GOOD, links=(mine,), kernel=(theirs,), round=rounds)
    found = replace(found, losses=(lost,), shares=(sharing,), replays=(traced,))
    assert (found.repeated, found.broken(), GOOD.repeated) == (6, [], 0)
    table = StringIO()
    print_tables(found, Console(file=table, width=130))
    for words in (
        "1.12, 1.02, 1.01 s",
        "1.2, 1.03, 1.01 s",
        "4.7, 4.1, 4 s",
        "0.90000, 0.99900, 0.99900",
        "WITHIN ITS BOUNDS\n6 figures were off at first",
        "Measured 3 times, this is the middle one: +1.0%",
    ):
        assert words in table.getvalue()
    written = json.dumps(as_json(found))
    assert '"repeated": 6' in written
    assert "[1.12, 1.02, 1.01]" in written
    assert "6 figures measured three times" in as_page(found)
    assert "the middle one of 1.120, 1.020, 1.010 s" in as_page(found)


def test_the_kernels_time_is_what_is_repeated() -> None:
    against = against_kernel(Pair("1 MB up", 1.0, 1.01), Pair("1 MB up", 1.0, 1.3, (1.3, 1.2, 1.4)))
    assert (against.asked, against.delivered, against.tried) == (1.3, 1.01, (1.3, 1.2, 1.4))


async def test_links_slower_than_they_say_fail_however_often_they_are_measured() -> None:
    network = replace(load_network("fixed-world"), up_bytes_per_s=2e6, down_bytes_per_s=4e6)
    site = Site(load_device("pixel4"), replace(network, rtt_s=0.004), 0)
    effort = replace(QUICK, seconds=0.05, pings=3, sizes=(), repeats_s=30.0)
    loop = asyncio.get_running_loop()
    timer = timer_for(loop)

    def spoiled(site: Site, meter: FidelityMeter) -> StreamAccess:
        pair = links_of(site, 1.0, 0.0)
        slow = (replace(link, bytes_per_s=0.8 * link.bytes_per_s) for link in (pair.up, pair.down))
        return StreamAccess(LinkPair(*slow), timer, meter)

    try:
        async with far_end() as far:
            bench = Bench(spoiled, far, effort, Repeats(effort.repeats_s, loop.time), TRANSFER)
            found = await one_link(site, bench, 0.0)
    finally:
        timer.close()
    assert [len(rate.tried) for rate in found.rates] == [3, 3]
    assert all((rate.error or 0.0) < -0.1 for rate in found.rates)
    broken = replace(GOOD, links=(found,)).broken()
    assert sum("the middle one of 3" in rule for rule in broken) >= 2
