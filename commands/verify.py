"""Asked against delivered: are this fleet's links on this host what its profiles say?"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from commands.errors import BadInput, Failure, Unstable

if TYPE_CHECKING:
    from commands.emulation import Site
    from commands.verification.far_end import FarEnd
    from commands.verification.judgement import HostFigures, Verification
    from commands.verification.measuring import Bench, LinkResult, NewMetered
    from netem.timer import Timer
    from profiles import Fleet, Network

DESCRIBE = "asked against delivered: this fleet's links on this host"
_ALARMS = 150


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profile", default="mixed-20", metavar="FLEET|FILE", help="(mixed-20)")
    parser.add_argument("--net", default="stream", metavar="stream|packet|kernel", help="(stream)")
    parser.add_argument("--rates-only", action="store_true", help="kernel links without delay")
    parser.add_argument("--quick", action="store_true", help="shorter transfers, no kernel's TCP")
    parser.add_argument("--out", type=Path, metavar="FILE", help="a page with plots (.html)")
    parser.add_argument("--json", action="store_true", help="the figures on stdout, nothing else")


def run(arguments: argparse.Namespace) -> None:
    from rich.console import Console

    from commands.emulation import Site
    from commands.nets import Net, check_possible
    from commands.settings import resolve
    from commands.verification.pages import as_page
    from commands.verification.shown import print_tables
    from commands.verification.written import as_json
    from netem.packet.errors import LinksLost
    from profiles import ProfileError, load_fleet

    resolve(None, {"net": arguments.net}, ())
    if arguments.rates_only and arguments.net != "kernel":
        raise BadInput("--rates-only: goes with --net kernel only")
    out: Path | None = arguments.out
    if out is not None and (out.exists() or not out.absolute().parent.is_dir()):
        raise BadInput(f"--out: {out}: must be a new file in a folder that exists")
    try:
        fleet = load_fleet(arguments.profile)
    except ProfileError as error:
        raise BadInput(str(error)) from error
    network = without_delays if arguments.rates_only else (lambda network: network)
    sites = [Site(m.device, network(m.network), m.index) for m in fleet.members]
    check_possible(Net(arguments.net), sites)
    try:
        found = asyncio.run(_verify(fleet, sites, arguments.net, arguments.quick))
    except (LinksLost, TimeoutError, OSError) as error:
        raise Failure(f"verify: {type(error).__name__}: {error}") from error
    if arguments.json:
        json.dump(as_json(found), sys.stdout, indent=2)
        print()
    else:
        print_tables(found, Console())
    if out is not None:
        out.write_text(as_page(found), encoding="utf-8")
    if broken := found.broken():
        raise Unstable(f"{len(broken)} figures outside their bounds; the first: {broken[0]}")


def without_delays(network: "Network") -> "Network":
    """What a kernel without netem can give of it."""
    transport = replace(network.transport, loss=0.0)
    return replace(network, rtt_s=0.0, jitter=None, reordering=None, transport=transport)


async def _verify(fleet: "Fleet", sites: "Sequence[Site]", net: str, quick: bool) -> "Verification":
    from commands.hosting import settle_memory
    from commands.verification.bounds import TRANSFER, TRANSFER_KERNEL
    from commands.verification.far_end import far_end
    from commands.verification.judgement import Verification
    from commands.verification.losses import losses
    from commands.verification.measuring import FULL, QUICK, Bench, one_link, plain_round_trip_s
    from commands.verification.one_round import one_round
    from commands.verification.players import playing, traced
    from commands.verification.repeating import Repeats
    from commands.verification.replays import replays
    from commands.verification.shares import shares
    from netem.timer import timer_for

    effort, bound = QUICK if quick else FULL, TRANSFER if net == "stream" else TRANSFER_KERNEL
    kinds = list({site.network.name: site for site in reversed(sites)}.values())[::-1]
    loop = asyncio.get_running_loop()
    timer, single = timer_for(loop), Repeats(effort.repeats_s, loop.time)
    together = Repeats(2 * effort.repeats_s, loop.time)
    settle_memory()  # as a run does
    try:
        async with far_end() as far:
            host_s = await plain_round_trip_s(far, effort.pings)
            host, means = await _host(timer, host_s), (far, timer)
            async with metered(net, sites, *means) as new:
                bench = Bench(new, far, effort, single, bound)
                links = [await one_link(site, bench, host_s) for site in kinds]
                lost = await losses(kinds, bench, net)
                steady, players = all(link.steady for link in links), (net, timer)
                everybody, rounds = await together.judged(
                    partial(one_round, sites, playing(fleet, sites, players, new), far, effort),
                    lambda found: found.off(steady),
                )
            replayed = await replays(traced(fleet), net, means, effort, together)
            at_once = fleet, sites, means, effort
            shared = [] if net != "stream" else await shares(*at_once, together)
            kernel = [] if quick or net != "stream" else await _kernel(kinds, links, timer, bench)
    finally:
        timer.close()
    of_links = host, tuple(links), tuple(kernel), replace(everybody, tried=rounds)
    of_rest = tuple(lost), tuple(replayed), tuple(shared), unchecked_of(fleet, net)
    return Verification(fleet.name, net, len(sites), *of_links, *of_rest)


def unchecked_of(fleet: "Fleet", net: str) -> tuple[str, ...]:
    """What this fleet asks for and no transfer here can show."""
    traces = [member.trace for member in fleet.members if member.trace is not None]
    driven = sum(trace.drives_links for trace in traces)
    delays = sum(bool(trace.up_delay_s or trace.down_delay_s) for trace in traces)
    others = sum(bool(trace.pace or trace.available) for trace in traces)
    said = []
    if net == "kernel" and driven:
        said.append(f"traces of {driven} links: tc follows none")
    if net != "kernel" and delays:
        said.append(f"delays of {delays} traced links: their rates are")
    if others:
        said.append(f"pace and presence of {others} traced devices: only links are")
    if net != "stream" and fleet.shared:
        said.append(f"{len(fleet.shared)} shared links: only stream links share")
    return tuple(said)


async def _kernel(
    kinds: "Sequence[Site]", links: "Sequence[LinkResult]", timer: "Timer", bench: "Bench"
) -> "list[LinkResult]":
    """The same transfers with the kernel's TCP, where this system lets us have packet links."""
    from commands.nets import Net, check_possible
    from commands.verification.kernels import kernels_of

    try:
        check_possible(Net("packet"), kinds)
    except BadInput as error:
        print(f"no comparison with the kernel's TCP: {error}", file=sys.stderr)
        return []
    async with metered("packet", kinds, bench.far, timer) as new:
        theirs = replace(bench, new=new)
        pairs = zip(kinds, links, strict=True)
        return [await kernels_of(site, link, theirs) for site, link in pairs]


@asynccontextmanager
async def metered(
    net: str, sites: "Sequence[Site]", far: "FarEnd", timer: "Timer"
) -> "AsyncIterator[NewMetered]":
    """What makes an access to the far end for one of these sites."""
    from commands.emulation import links_of
    from commands.nets import Net, accesses
    from netem.access import Access, StreamAccess
    from netem.fidelity import FidelityMeter

    async with accesses(Net(net), sites, far.url) as accessed:
        separate = dict(zip((site.member for site in sites), accessed, strict=True))

        def new(site: "Site", meter: FidelityMeter) -> Access:
            access = separate[site.member]
            return access(meter) if access else StreamAccess(links_of(site, 1.0, 0.0), timer, meter)

        yield new


async def _host(timer: "Timer", round_trip_s: float) -> "HostFigures":
    """How late the timer is, on a processor that falls asleep in between, and how busy others
    keep this host meanwhile."""
    from commands.verification.judgement import HostFigures
    from netem.fidelity import FidelityMeter
    from netem.timer import sleep_until

    meter, before, wall_s = FidelityMeter(), _busy_s(), time.monotonic()
    for _ in range(_ALARMS):
        when_s = timer.now() + 0.005
        await sleep_until(timer, when_s)
        meter.released(timer.now() - when_s)
    cores = os.cpu_count() or 1
    busy = (_busy_s() - before) / (time.monotonic() - wall_s) / cores
    late = meter.measured()
    p50, p99 = late.lateness_ms_p50 or 0.0, late.lateness_ms_p99 or 0.0
    return HostFigures(round_trip_s, p50, p99, max(0.0, busy), cores)


def _busy_s() -> float:
    """Seconds that all cores together have been busy or stolen (proc(5), stat); 0 elsewhere."""
    try:
        words = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
    except OSError:
        return 0.0
    user, nice, system, _, _, interrupts, soft, stolen = map(int, words)
    return (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")
