"""The search for the largest fleet that stays stable, and what alike devices are predicted."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.capacity import FINENESS, FIRST, MOST, Search, is_stable
from benchmarks.cores import Cores
from commands.emulation import Site, links_of
from commands.verification.figure import Pair
from commands.verification.prediction import rounds_s
from profiles import Network, load_device, load_network
from tests.commands.test_commands_verify import ROUND


@given(st.integers(0, MOST + 500))
def test_the_search_ends_at_the_largest_fleet(carried: int) -> None:
    search, tried = Search(), 0
    while (devices := search.next()) is not None:
        search, tried = search.after(devices, devices <= carried), tried + 1
    assert search.stable <= carried
    if search.unstable is None:
        assert search.stable == MOST
    else:
        assert carried < search.unstable <= search.stable + max(1, search.stable // FINENESS)
    assert tried <= 14


def test_the_search_begins_small_and_doubles() -> None:
    assert Search().next() == FIRST
    assert Search(stable=FIRST).next() == 2 * FIRST
    assert Search(stable=FIRST, unstable=2 * FIRST).next() == FIRST + FIRST // 2
    assert Search(stable=0, unstable=1).next() is None


def test_a_round_is_stable_by_a_runs_own_rule() -> None:
    def ended(delivered: float) -> bool:
        return is_stable(replace(ROUND, taken=(Pair("client 0", 10.0, delivered),)))

    assert [ended(9.0), ended(10.19), ended(10.21)] == [True, True, False]


def test_cores_say_how_busy_they_were() -> None:
    assert Cores.now().since().startswith("(cores busy ")


def predicted(network: Network, seeds: range) -> list[float]:
    sites = [Site(load_device("pixel4"), network, seed) for seed in seeds]
    return rounds_s(
        lambda timer: [(links_of(site, 1.0, 0.0), (None, None)) for site in sites], 200_000
    )


def test_alike_devices_take_alike_and_those_of_chance_do_not() -> None:
    network = load_network("mobile-world")
    (alone,) = predicted(network, range(1))
    assert predicted(network, range(5)) == [alone] * 5
    lossy = replace(network, transport=replace(network.transport, loss=0.02))
    together = predicted(lossy, range(4))
    assert len(set(together)) > 1
    assert together == [predicted(lossy, range(n, n + 1))[0] for n in range(4)]
