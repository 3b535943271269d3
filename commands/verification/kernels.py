"""Verify's comparison of stream links with the kernel's own TCP: the same transfers over packet
links."""

from commands.emulation import Site
from commands.verification.bounds import TRANSFER_KERNEL, transfer_off
from commands.verification.figure import Pair
from commands.verification.measuring import Bench, LinkResult, transfers_of


async def kernels_of(site: Site, link: LinkResult, bench: Bench) -> LinkResult:
    """`link`: of the stream link, which has been settled when this is measured."""
    mine = {transfer.what: transfer for transfer in link.transfers}

    def off(theirs: Pair) -> float:
        if not link.steady or theirs.what not in mine:
            return 0.0
        return transfer_off(against_kernel(mine[theirs.what], theirs), TRANSFER_KERNEL)

    transfers = await transfers_of(site, bench, off)
    no_trips = Pair("round trip", site.network.rtt_s, None)
    return LinkResult(site.network.name, (), no_trips, None, link.loss, transfers)


def against_kernel(mine: Pair, theirs: Pair) -> Pair:
    """What is asked of a stream link's transfer is what the kernel's TCP took."""
    return Pair(mine.what, theirs.delivered or 0.0, mine.delivered, theirs.tried)
