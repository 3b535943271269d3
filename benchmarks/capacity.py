"""The largest fleet whose rounds stay stable on this host, over stream and over packet links.

    python -m benchmarks.capacity [--net stream|packet|kernel]... [--device D] [--network N]
                                  [--within SECONDS]

Devices are all alike. Each downloads what a client of the default task does and uploads as much,
all at once, as in `verify`'s round: what they compute in between is counted, not waited for, so
that all upload together, which asks more of a host than a round does. A round is stable if it
became longer by no more than a run's own rule allows (docs/output.md); one that is not is measured
twice again, and the middle one counts. The fleet is doubled until a round is not stable, then
halved in between.
"""

import argparse
import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from benchmarks.cores import Cores
from commands.emulation import Site
from commands.errors import BadInput
from commands.hosting import settle_memory
from commands.nets import Net, check_possible
from commands.verification.far_end import FarEnd, far_end
from commands.verification.measuring import FULL
from commands.verification.one_round import Playing, RoundResult, one_round
from commands.verification.players import playing
from commands.verification.repeating import Repeats
from commands.verify import metered
from netem.timer import Timer, timer_for
from profiles import Fleet, Member, load_device, load_network
from runs.fidelity import round_is_stable
from runs.settings import Bounds

FIRST, MOST = 8, 1024
FINENESS = 16
"""The answer is known to one part in so many."""


@dataclass(frozen=True, slots=True)
class Search:
    """Between a fleet that was stable and one that was not."""

    stable: int = 0
    unstable: int | None = None

    def next(self) -> int | None:
        """Whom to try next; None: it is known well enough."""
        if self.unstable is None:
            grown = max(FIRST, 2 * self.stable)
            return grown if grown <= MOST else None
        if self.unstable - self.stable <= max(1, self.stable // FINENESS):
            return None
        return (self.stable + self.unstable) // 2

    def after(self, devices: int, stable: bool) -> "Search":
        if stable:
            return replace(self, stable=devices)
        return replace(self, unstable=devices)


def is_stable(found: RoundResult) -> bool:
    late_s = (found.last.delivered or float("inf")) - found.last.asked
    return bool(round_is_stable(found.last.asked, max(0.0, late_s), Bounds()))


async def largest(net: str, member: Member, timer: Timer, within_s: float) -> Search:
    loop = asyncio.get_running_loop()
    search, until_s = Search(), loop.time() + within_s
    async with far_end() as far:
        while (devices := search.next()) is not None and loop.time() < until_s:
            cores = Cores.now()
            chosen, tried = await _round(net, _fleet(member, devices), (far, timer), until_s)
            search = search.after(devices, is_stable(chosen))
            print(_row(net, chosen, tried) + f"  {cores.since()}", flush=True)
    return search


def _fleet(member: Member, devices: int) -> Fleet:
    members = tuple(replace(member, index=index) for index in range(devices))
    return Fleet(f"{devices} alike", "all alike", members, None)


async def _round(
    net: str, fleet: Fleet, means: tuple[FarEnd, Timer], until_s: float
) -> tuple[RoundResult, tuple[RoundResult, ...]]:
    far, timer = means
    loop = asyncio.get_running_loop()
    repeats = Repeats(until_s - loop.time(), loop.time)
    sites = [Site(m.device, m.network, m.index) for m in fleet.members]
    async with metered(net, sites, far, timer) as new:
        players: Playing = playing(fleet, sites, (net, timer), new)
        return await repeats.judged(
            partial(one_round, sites, players, far, FULL),
            lambda found: 0.0 if is_stable(found) else 1 + (found.last.error or 0.0),
        )


def _row(net: str, found: RoundResult, tried: Sequence[RoundResult]) -> str:
    verdict = "stable" if is_stable(found) else "NOT STABLE"
    again = f" (of {len(tried)})" if len(tried) > 1 else ""
    late_ms = found.measured.lateness_ms_p99 or 0.0
    return (
        f"{net:7s}{len(found.taken):5d} devices  round {found.last.asked:6.3f} s asked, "
        f"{found.last.error or 0.0:+7.2%}{again}  {found.in_time:4d} in time  "
        f"{found.core_share:5.0%} of a core  late {late_ms:6.2f} ms p99  {verdict:10s}"
    )


async def measure(options: argparse.Namespace) -> None:
    member = Member(0, load_device(options.device), load_network(options.network))
    network, settle = member.network, settle_memory
    load = ", ".join(f"{x:.2f}" for x in os.getloadavg())
    print(f"{os.cpu_count()} cores, load {load}; devices: {options.device} behind {network.name}")
    settle()
    timer = timer_for(asyncio.get_running_loop())
    answers = []
    for net in options.net or ("stream", "packet"):
        try:
            check_possible(Net(net), [Site(member.device, network, 0)])
        except BadInput as error:
            answers.append(f"{net}: not here ({error})")
            continue
        search = await largest(net, member, timer, options.within)
        answers.append(f"{net}: {_answer(search)}")
    timer.close()
    print("largest fleet whose rounds stay stable: " + "; ".join(answers))


def _answer(search: Search) -> str:
    if search.unstable is None:
        return f"{search.stable} devices or more"
    open_ = "" if search.next() is None else f" (time was up; below {search.unstable})"
    return f"{search.stable} devices{open_}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--net", action="append", choices=("stream", "packet", "kernel"))
    parser.add_argument("--device", default="pixel4")
    parser.add_argument("--network", default="mobile-world")
    parser.add_argument("--within", type=float, default=60.0, help="seconds for each net (60)")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
