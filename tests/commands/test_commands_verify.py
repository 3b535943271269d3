"""verify: what it predicts, what it calls outside its bounds, and one real pass."""

import json
import socket
import time
from dataclasses import replace
from html import escape
from io import StringIO
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from commands.emulation import links_of
from commands.verification.bounds import RATE, rate_bound
from commands.verification.datagrams import through
from commands.verification.far_end import Arrivals
from commands.verification.figure import Pair
from commands.verification.judgement import HostFigures, Verification
from commands.verification.losses import LossResult, interval
from commands.verification.measuring import LinkResult
from commands.verification.one_round import RoundResult
from commands.verification.pages import as_page
from commands.verification.prediction import HEADERS_BYTES, Traveller, ping_s, rounds_s, transfer_s
from commands.verification.replays import ReplayResult
from commands.verification.shares import ShareResult, fair_rates, jain
from commands.verification.shown import print_tables
from commands.verification.written import as_json
from commands.verify import unchecked_of, without_delays
from netem.channel import Parcel
from netem.device import LinkPair
from netem.fidelity import Measured
from netem.junction import Crossing, SharedLinks
from netem.link import LinkParameters, wire_bytes
from netem.loss import RandomLoss
from netem.shared import SharedWire
from netem.timer import Timer
from profiles import load_fleet, load_network
from tests.commands.conftest import Command, one_line, words

PLAIN = LinkPair(LinkParameters(1e6, 0.02), LinkParameters(2e6, 0.02))


def test_a_transfer_without_a_tcp_model_takes_its_bytes_and_its_round_trips() -> None:
    up_s = transfer_s(PLAIN, True, 100_000)
    handshake_s = 0.04 + 66 / 1e6 + 66 / 2e6
    assert up_s == pytest.approx(
        handshake_s + 0.02 + wire_bytes(100_000 + HEADERS_BYTES) / 1e6, rel=2e-3
    )
    down_s = transfer_s(PLAIN, False, 100_000)
    request_s = 0.02 + wire_bytes(HEADERS_BYTES) / 1e6
    assert down_s == pytest.approx(
        handshake_s + request_s + 0.02 + wire_bytes(100_000 + HEADERS_BYTES) / 2e6, rel=2e-3
    )


def test_a_round_is_a_download_and_an_upload_over_one_connection() -> None:
    (alone_s,) = rounds_s(lambda timer: [(PLAIN, (None, None))], 100_000)
    ask_s = 0.02 + wire_bytes(HEADERS_BYTES) / 1e6
    down_s = 0.02 + wire_bytes(100_000 + HEADERS_BYTES) / 2e6
    up_s = 0.02 + wire_bytes(100_000 + HEADERS_BYTES) / 1e6
    assert alone_s == pytest.approx(0.04 + 66 / 1e6 + 66 / 2e6 + ask_s + down_s + up_s, rel=2e-3)


def test_devices_that_share_a_wire_wait_for_one_another() -> None:
    def two(timer: Timer) -> list[Traveller]:
        up, down = SharedLinks[Parcel](timer), SharedLinks[Parcel](timer)
        wires = SharedWire(1e6), SharedWire(2e6)
        crossings = Crossing(up, (wires[0],)), Crossing(down, (wires[1],))
        return [(PLAIN, crossings), (PLAIN, crossings)]

    (alone_s,) = rounds_s(lambda timer: [(PLAIN, (None, None))], 300_000)
    both_s = rounds_s(two, 300_000)
    assert max(both_s) == pytest.approx(2 * alone_s, rel=0.1)


def test_what_a_fleet_asks_for_and_nothing_measures_is_said() -> None:
    fleet = load_fleet("straggler-traces-8")
    delays, others = unchecked_of(fleet, "stream")
    assert delays == "delays of 1 traced links: their rates are"
    assert others == "pace and presence of 2 traced devices: only links are"
    assert unchecked_of(fleet, "kernel")[0] == "traces of 2 links: tc follows none"
    assert unchecked_of(load_fleet("mixed-20"), "stream") == ()
    assert as_json(replace(GOOD, unchecked=(delays,)))["unchecked"] == [delays]


def test_members_of_shared_wires_get_alike_until_something_is_full() -> None:
    own = {0: 1.0, 1: 10.0, 2: 10.0, 3: 10.0}
    wires = [(frozenset({0, 1, 2}), 9.0), (frozenset({2, 3}), 5.0)]
    assert fair_rates(own, wires) == pytest.approx({0: 1.0, 1: 5.5, 2: 2.5, 3: 2.5})
    assert fair_rates({4: 3.0}, [(frozenset(), 1.0)]) == {4: 3.0}


def test_jains_index() -> None:
    assert jain([2.0, 2.0, 2.0]) == pytest.approx(1.0)
    assert jain([1.0, 0.0, 0.0, 0.0]) == pytest.approx(0.25)
    assert jain([0.0]) == 0.0


@given(share=st.floats(0.001, 0.1), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_what_chance_loses_lies_within_its_interval(share: float, seed: int) -> None:
    drawn = Random(seed)
    lost = sum(drawn.random() < share for _ in range(2000))
    low, high = interval(lost, 2000)
    assert low <= share <= high
    assert interval(0, 0) == (0.0, 1.0)


def test_a_ping_takes_the_delays_and_two_small_frames() -> None:
    assert ping_s(PLAIN, 64) == pytest.approx(0.04 + 136 / 1e6 + 132 / 2e6)


def test_a_transfer_that_takes_ten_minutes_is_not_predicted() -> None:
    slow = LinkParameters(1e3, 0.02)
    assert transfer_s(LinkPair(slow, slow), True, 1_000_000) is None


def test_the_rate_is_that_of_the_later_part() -> None:
    arrivals = Arrivals()
    for step in range(101):
        arrivals.add(14480, step * (0.1 if step < 50 else 0.01))
    rate = arrivals.wire_bytes_per_s(0.6)
    assert rate == pytest.approx(15140 / 0.01, rel=1e-6)
    assert Arrivals().wire_bytes_per_s(0.5) is None


LINK = LinkResult(
    "dsl",
    (Pair("up", 1e6, 1.001e6), Pair("down", 2e6, 1.999e6)),
    Pair("round trip", 0.04, 0.041),
    None,
    0.0,
    (Pair("1 MB up", 1.0, 1.02),),
)
ROUND = RoundResult(
    1_600_000,
    2.0,
    (Pair("client 0", 8.0, 8.01), Pair("client 1", 10.0, 10.1)),
    ((0, "up", 0.001), (1, "up", -0.004), (1, "down", None)),
    Measured(0.1, 0.3, 2.0, 0.001, 0.004, 0.002, 0, 0.0),
    0.5,
    0.25,
    0.09,
)
GOOD = Verification("two", "stream", 2, HostFigures(3e-4, 0.1, 0.3, 0.5, 2), (LINK,), (), ROUND)
LOSS = LossResult("dsl", "up", 0.01, 3000, 33, Pair("3 × 1 MB", 4.0, 4.1), 3, 0.1)
REPLAY = ReplayResult(1, "down", 10.0, (Pair("0.5 s", 1e6, 1.001e6), Pair("10.5 s", 0, 100)), 1514)
SHARE = ShareResult("house", "up", 3, Pair("sum", 1e6, 0.99e6), 2, 0.999)
ALL = replace(GOOD, losses=(LOSS,), replays=(REPLAY,), shares=(SHARE,))


def with_link(**changes: object) -> Verification:
    return replace(GOOD, links=(replace(LINK, **changes),))  # type: ignore[arg-type]


def test_figures_within_their_bounds() -> None:
    assert ALL.broken() == []
    assert (ROUND.median_error, ROUND.worst_error) == pytest.approx((0.0025, 0.004))
    assert ROUND.carried_at_full_rate(0.0) == 7, "2 devices need 0.18 of a core; 0.7 are to be had"
    assert ROUND.carried_at_full_rate(0.5) == 3
    assert ROUND.carried_in_rounds() == 5, "2 take a quarter of a core for as long as they transfer"


def test_no_more_are_carried_than_were_in_time() -> None:
    taken = (Pair("client 0", 8.0, 8.21), Pair("client 1", 10.0, 10.1))
    crowded = replace(GOOD, round=replace(ROUND, taken=taken))
    assert (crowded.round.in_time, crowded.round.carried_in_rounds()) == (1, 1)
    assert crowded.broken() == [], "the round waits for the other"


def with_round(**changes: object) -> Verification:
    return replace(GOOD, round=replace(ROUND, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "rule"),
    [
        (with_link(rates=(Pair("up", 1e6, 0.98e6),)), "dsl: rate up off by -2.00%, bound 1.0%"),
        (with_link(rtt=Pair("round trip", 0.04, 0.0416)), "dsl: round trip off by +1.60 ms"),
        (with_link(jitter=Pair("jitter", 0.01, 0.014)), "dsl: jitter off by +40%, bound 35%"),
        (with_link(transfers=(Pair("1 MB up", 1.0, 1.04),)), "1 MB up off by +4.0% against its"),
        (
            replace(GOOD, kernel=(replace(LINK, transfers=(Pair("1 MB up", 1.0, 0.9),)),)),
            "dsl: 1 MB up off by +13.3% against the kernel's TCP, bound 8%",
        ),
        (with_round(taken=(Pair("client 0", 9.0, 9.3),)), "all at once: a round off by +3.3%"),
        (with_round(errors=((0, "up", 0.021),)), "all at once: worst rate error 2.10%, bound 2%"),
        (
            replace(GOOD, losses=(replace(LOSS, lost=80),)),
            "dsl: loss up: 1.00% asked, 80 of 3000 (1.86% to 3.82%) lost",
        ),
        (
            replace(GOOD, losses=(replace(LOSS, transfers=Pair("x", 4.0, 4.6)),)),
            "dsl: loss up: transfers off by +15%, bound 10%",
        ),
        (
            replace(GOOD, replays=(replace(REPLAY, windows=(Pair("0.5 s", 1e6, 0.98e6),)),)),
            "client 1: trace down: 10 s from 0.5 s off by -2.00%, bound 1%",
        ),
        (replace(GOOD, replays=(replace(REPLAY, windows=()),)), "trace down: nothing came"),
        (
            replace(GOOD, shares=(replace(SHARE, sum=Pair("sum", 1e6, 0.9e6)),)),
            "shared house up: sum off by -10.0%, bound 2%",
        ),
        (
            replace(GOOD, shares=(replace(SHARE, jain=0.9),)),
            "shared house up: Jain's index 0.9000, bound 0.99",
        ),
    ],
)
def test_each_bound(found: Verification, rule: str) -> None:
    assert any(rule in line for line in found.broken())
    assert escape(rule.split(",")[0]) in as_page(found)
    assert as_json(found)["within"] is False


def test_a_wandering_delay_widens_the_bound_of_a_rate() -> None:
    bound = rate_bound(0.005, 0.5)
    assert bound == pytest.approx(0.01 + 3 * 2**0.5 * 0.01)
    assert rate_bound(0.0, 0.5) == RATE
    off = (Pair("up", 1e6, 1.04e6),)
    assert with_link(rates=off, rate_bounds=(bound,)).broken() == []
    assert len(with_link(rates=off, rate_bounds=(0.03,)).broken()) == 1


def test_a_window_may_be_off_by_what_comes_at_once() -> None:
    slow = replace(REPLAY, windows=(Pair("0.5 s", 100_000, 103_000),))
    assert slow.within
    assert not replace(slow, windows=(Pair("0.5 s", 100_000, 103_100),)).within


def test_with_loss_a_link_need_not_be_full() -> None:
    assert with_link(rates=(Pair("up", 1e6, 0.3e6),), loss=0.01).broken() == []


def test_where_chance_decides_a_transfer_is_not_judged() -> None:
    wandering = Pair("jitter", 0.01, 0.011)
    assert with_link(jitter=wandering, transfers=(Pair("1 MB up", 1.0, 1.2),)).broken() == []
    assert with_link(loss=0.01, transfers=(Pair("1 MB up", 1.0, 1.2),)).broken() == []


def test_rates_of_more_devices_than_the_host_carries_are_shown_but_not_judged() -> None:
    assert with_round(gbit_per_s=10.0, errors=((0, "up", -0.5),)).broken() == []


def test_what_is_checked_is_shown() -> None:
    table = StringIO()
    print_tables(ALL, Console(file=table, width=120))
    for words_ in ("loss up", "of 3000", "trace down", "Jain 0.99900 over 2", "2 of 2 devices"):
        assert words_ in table.getvalue()
    written = as_json(ALL)
    assert written["losses"][0]["lost"] == 33  # type: ignore[index, call-overload]
    assert as_page(ALL).count("<svg") == 4


FAST = """title = "x"
down = { value = 200, unit = "Mbit/s", source = "assumed: test" }
up = { value = 200, unit = "Mbit/s", source = "assumed: test" }
rtt = { value = 4, unit = "ms", source = "assumed: test" }
loss = { value = 0.5, unit = "%", source = "assumed: test" }
"""
FLEET = """title = "Pair"
[[members]]
count = 2
device = "pixel4"
network = "fast.toml"
[[shared]]
name = "house"
members = "all"
down = { value = 40, unit = "Mbit/s", source = "assumed: test" }
up = { value = 40, unit = "Mbit/s", source = "assumed: test" }
"""


def test_a_real_pass(command: Command, tmp_path: Path) -> None:
    """Whether it is within its bounds is the host's business; it says so either way."""
    (tmp_path / "fast.toml").write_text(FAST)
    (tmp_path / "pair.toml").write_text(FLEET)
    out = tmp_path / "page.html"
    ended = command(*words(f"verify --quick --json --profile {tmp_path}/pair.toml --out {out}"))
    found = json.loads(ended.out)
    assert ended.code == (0 if found["within"] else 4)
    assert found["clients"] == 2
    (link,) = found["links"]
    assert [rate["what"] for rate in link["rates"]] == ["up", "down"]
    assert all(rate["delivered"] > 0 for rate in link["rates"])
    assert link["round_trip"]["asked"] > 0.004
    assert len(found["round"]["devices"]) == 2
    assert [loss["what"] for loss in found["losses"]] == ["up", "down"]
    assert all(loss["sent"] > 100 for loss in found["losses"])
    assert [(s["name"], s["held_back"]) for s in found["shared"]] == [("house", 2)] * 2
    assert all(s["jain"] > 0.5 for s in found["shared"])
    assert out.read_text().count("<svg") == 3
    again = command(*words(f"verify --profile {tmp_path}/pair.toml --out {out}"))
    assert (again.code, "must be a new file" in one_line(again)) == (2, True)


def test_links_are_those_that_a_run_gets() -> None:
    from commands.emulation import Site
    from profiles import load_device, load_network

    site = Site(load_device("pixel4"), load_network("4g-ghent"), 3)
    assert links_of(site, 1.0, 0.0).up.bytes_per_s == 13.4e6 / 8


def test_rates_alone_are_for_kernel_links(command: Command) -> None:
    ended = command(*words("verify --rates-only"))
    assert (ended.code, one_line(ended)) == (2, "--rates-only: goes with --net kernel only")
    bare = without_delays(load_network("4g-ghent"))
    assert (bare.rtt_s, bare.jitter, bare.transport.loss) == (0.0, None, 0.0)
    assert bare.up_bytes_per_s == load_network("4g-ghent").up_bytes_per_s


async def test_datagrams_go_by_their_schedule_and_are_counted() -> None:
    ends = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for end in ends:
        end.bind(("127.0.0.1", 0))
    ends[0].connect(ends[1].getsockname())
    begin_s = time.monotonic()
    with ends[0], ends[1]:
        sent, arrivals = await through(
            (ends[0], ends[1]), lambda now_s: min(50, 500 * (now_s - begin_s)), begin_s + 0.4, 100
        )
    assert (sent, len(arrivals.times_s)) == (50, 50)
    assert arrivals.until(begin_s + 0.05) <= 25 * 100 < arrivals.until(begin_s + 1) == 5000


def test_segments_that_the_air_took_are_counted() -> None:
    loss = RandomLoss(0.1, (1,))
    lost = sum(loss.strikes() for _ in range(1000))
    assert (loss.struck, loss.asked) == (lost, 1000)
    assert 60 < lost < 140
