"""Verify's verdict: which figures lie outside their bounds, how many devices the host carries."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

from commands.verification.measuring import LinkResult, Pair, TogetherResult

RATE, RATE_TOGETHER, RATE_TOGETHER_MEDIAN = 0.01, 0.02, 0.005
"""Relative; of one link by itself, of any of all at once, and of their median."""
LAST = 0.02
"""Relative: of the time until the last of all devices is done, as for a round (docs/output.md)."""
RTT_S = 0.0015
JITTER = 0.35
"""Relative: three standard errors of the spread of some 25 exchanges, and what is our own."""
TRANSFER, TRANSFER_S = 0.03, 0.005
"""Against the link's own arithmetic: relative, and never less than this."""
TRANSFER_KERNEL = 0.08
"""Relative, against the kernel's TCP over the same link."""
HEADROOM = 0.7
"""Of one core: an event loop that is busier than this makes everybody late."""


@dataclass(frozen=True, slots=True)
class HostFigures:
    """What the host adds: a round trip over loopback, how late its timer is, who else is there."""

    round_trip_s: float
    timer_late_ms_p50: float
    timer_late_ms_p99: float
    busy_share: float
    """Of all cores, before anything was measured."""
    cores: int


@dataclass(frozen=True, slots=True)
class Verification:
    profile: str
    net: str
    clients: int
    host: HostFigures
    links: tuple[LinkResult, ...]
    kernel: tuple[LinkResult, ...]
    """The same transfers with the kernel's TCP; empty where that cannot be had."""
    together: TogetherResult
    unchecked: tuple[str, ...] = ()
    """What the fleet asks for and nothing here measures, a line each."""

    @property
    def median_error(self) -> float | None:
        known = [abs(e) for _, _, e in self.together.errors if e is not None]
        return median(known) if known else None

    @property
    def worst_error(self) -> float | None:
        return max((abs(e) for _, _, e in self.together.errors if e is not None), default=None)

    def carries(self, busy_share: float) -> int:
        """How many devices like this fleet's could transfer at once at their full rates, as far
        as the processor time that this took says, on a host that is so busy besides."""
        needed = self.together.cpu_s_per_gbit * self.together.gbit_per_s
        free = HEADROOM * max(0.0, 1 - busy_share)
        return math.floor(self.clients * free / needed)

    def broken(self) -> list[str]:
        """One line for each figure outside its bound. Single devices' rates are judged where the
        host could carry all of them at once; otherwise only whom a round would wait for."""
        rules = [rule for link in self.links for rule in _of_link(link)]
        for last in self.together.last if all(map(_steady, self.links)) else ():
            rules += _of_transfer("all at once", replace(last, what=f"last {last.what}"), LAST)
        if self.carries(0.0) >= self.clients:
            rules += _of_together(self.median_error, self.worst_error)
        return rules + list(_of_kernel(self.links, self.kernel))


def _of_link(link: LinkResult) -> Iterator[str]:
    for rate in link.rates:
        # With loss a sender does not fill the link: that is no error of the emulation.
        if rate.error is not None and link.loss == 0 and abs(rate.error) > RATE:
            yield f"{link.network}: rate {rate.what} off by {rate.error:+.2%}, bound {RATE:.0%}"
    off_s = None if link.rtt.delivered is None else link.rtt.delivered - link.rtt.asked
    if off_s is not None and link.jitter is None and abs(off_s) > RTT_S:
        yield f"{link.network}: round trip off by {off_s * 1e3:+.2f} ms, bound {RTT_S * 1e3:g} ms"
    wander = None if link.jitter is None else link.jitter.error
    if wander is not None and abs(wander) > JITTER:
        yield f"{link.network}: jitter off by {wander:+.0%}, bound {JITTER:.0%}"
    for transfer in link.transfers if _steady(link) else ():
        yield from _of_transfer(link.network, transfer, TRANSFER)


def _steady(link: LinkResult) -> bool:
    """Where delays wander or packets get lost, what one transfer takes is chance's."""
    return link.jitter is None and link.loss == 0


def _of_transfer(
    network: str, transfer: Pair, bound: float, against: str = "its model"
) -> Iterator[str]:
    if transfer.delivered is None:
        return
    if abs(transfer.delivered - transfer.asked) > max(bound * transfer.asked, TRANSFER_S):
        off = transfer.delivered / transfer.asked - 1
        yield f"{network}: {transfer.what} off by {off:+.1%} against {against}, bound {bound:.0%}"


def _of_together(middle: float | None, worst: float | None) -> Iterator[str]:
    if middle is not None and middle > RATE_TOGETHER_MEDIAN:
        yield f"all at once: median rate error {middle:.2%}, bound {RATE_TOGETHER_MEDIAN:.1%}"
    if worst is not None and worst > RATE_TOGETHER:
        yield f"all at once: worst rate error {worst:.2%}, bound {RATE_TOGETHER:.0%}"


def _of_kernel(links: Sequence[LinkResult], kernel: Sequence[LinkResult]) -> Iterator[str]:
    theirs = {(k.network, t.what): t.delivered for k in kernel for t in k.transfers}
    for link in links:
        for mine in link.transfers if _steady(link) else ():
            other = theirs.get((link.network, mine.what))
            if other is not None:
                against = Pair(mine.what, other, mine.delivered)
                yield from _of_transfer(link.network, against, TRANSFER_KERNEL, "the kernel's TCP")
