"""verify: what it predicts, what it calls outside its bounds, and one real pass."""

import json
from dataclasses import replace
from html import escape
from pathlib import Path

import pytest

from commands.emulation import links_of
from commands.verification.far_end import Arrivals
from commands.verification.judgement import HostFigures, Verification
from commands.verification.measuring import LinkResult, Pair, TogetherResult
from commands.verification.prediction import HEADERS_BYTES, ping_s, transfer_s
from commands.verification.shown import as_json, as_page
from commands.verify import unchecked_of
from netem.device import LinkPair
from netem.fidelity import Measured
from netem.link import LinkParameters, wire_bytes
from profiles import load_fleet
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


def test_what_a_fleet_asks_for_and_nothing_measures_is_said() -> None:
    (said,) = unchecked_of(load_fleet("straggler-traces-8"))
    assert said == "traces of 4 devices: their links are taken at steady figures"
    assert unchecked_of(load_fleet("mixed-20")) == ()
    assert as_json(replace(GOOD, unchecked=(said,)))["unchecked"] == [said]


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
TOGETHER = TogetherResult(
    (Pair("up", 1.0, 1.01),),
    ((0, "up", 0.001), (1, "up", -0.004), (1, "down", None)),
    Measured(0.1, 0.3, 2.0, 0.001, 0.004, 0.002, 0, 0.0),
    1.9,
    0.1,
)
GOOD = Verification("two", "stream", 2, HostFigures(3e-4, 0.1, 0.3, 0.5, 2), (LINK,), (), TOGETHER)


def with_link(**changes: object) -> Verification:
    return replace(GOOD, links=(replace(LINK, **changes),))  # type: ignore[arg-type]


def test_figures_within_their_bounds() -> None:
    assert GOOD.broken() == []
    assert (GOOD.median_error, GOOD.worst_error) == pytest.approx((0.0025, 0.004))
    assert GOOD.carries(0.0) == 7, "2 devices need 0.19 of a core; 0.7 are to be had"
    assert GOOD.carries(0.5) == 3


@pytest.mark.parametrize(
    ("found", "rule"),
    [
        (with_link(rates=(Pair("up", 1e6, 0.98e6),)), "dsl: rate up off by -2.00%, bound 1%"),
        (with_link(rtt=Pair("round trip", 0.04, 0.0416)), "dsl: round trip off by +1.60 ms"),
        (with_link(jitter=Pair("jitter", 0.01, 0.014)), "dsl: jitter off by +40%, bound 35%"),
        (with_link(transfers=(Pair("1 MB up", 1.0, 1.04),)), "1 MB up off by +4.0% against its"),
        (
            replace(GOOD, kernel=(replace(LINK, transfers=(Pair("1 MB up", 1.0, 0.9),)),)),
            "dsl: 1 MB up off by +13.3% against the kernel's TCP, bound 8%",
        ),
        (
            replace(GOOD, together=replace(TOGETHER, last=(Pair("up", 1.0, 1.03),))),
            "all at once: last up off by +3.0% against its model, bound 2%",
        ),
        (
            replace(GOOD, together=replace(TOGETHER, errors=((0, "up", 0.021),))),
            "all at once: worst rate error 2.10%, bound 2%",
        ),
    ],
)
def test_each_bound(found: Verification, rule: str) -> None:
    assert any(rule in line for line in found.broken())
    assert escape(rule.split(",")[0]) in as_page(found)
    assert as_json(found)["within"] is False


def test_with_loss_a_link_need_not_be_full() -> None:
    assert with_link(rates=(Pair("up", 1e6, 0.3e6),), loss=0.01).broken() == []


def test_where_chance_decides_a_transfer_is_not_judged() -> None:
    wandering = Pair("jitter", 0.01, 0.011)
    assert with_link(jitter=wandering, transfers=(Pair("1 MB up", 1.0, 1.2),)).broken() == []
    assert with_link(loss=0.01, transfers=(Pair("1 MB up", 1.0, 1.2),)).broken() == []


def test_rates_of_more_devices_than_the_host_carries_are_shown_but_not_judged() -> None:
    crowded = replace(TOGETHER, gbit_per_s=10.0, errors=((0, "up", -0.5),))
    assert replace(GOOD, together=crowded).broken() == []


FAST = """title = "x"
down = { value = 200, unit = "Mbit/s", source = "assumed: test" }
up = { value = 200, unit = "Mbit/s", source = "assumed: test" }
rtt = { value = 4, unit = "ms", source = "assumed: test" }
"""
FLEET = """title = "Pair"
[[members]]
count = 2
device = "pixel4"
network = "fast.toml"
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
    assert len(found["together"]["devices"]) == 4
    assert out.read_text().count("<svg") == 2
    again = command(*words(f"verify --profile {tmp_path}/pair.toml --out {out}"))
    assert (again.code, "must be a new file" in one_line(again)) == (2, True)


def test_links_are_those_that_a_run_gets() -> None:
    from commands.emulation import Site
    from profiles import load_device, load_network

    site = Site(load_device("pixel4"), load_network("4g-ghent"), 3)
    assert links_of(site, 1.0, 0.0).up.bytes_per_s == 13.4e6 / 8
