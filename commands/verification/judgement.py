"""Verify's verdict: which figures lie outside their bounds, how many devices the host carries."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from commands.verification.losses import LossResult, interval
from commands.verification.measuring import LinkResult, Pair
from commands.verification.one_round import RoundResult
from commands.verification.replays import ReplayResult
from commands.verification.shares import JAIN, SUM, ShareResult

RATE, RATE_TOGETHER, RATE_TOGETHER_MEDIAN = 0.01, 0.02, 0.005
"""Relative; of one link by itself, of any of all at once, and of their median."""
LAST, LAST_S = 0.02, 0.01
"""Relative to a round, as for a run's (docs/output.md), and never less than this."""
RTT_S = 0.0015
JITTER = 0.35
"""Relative: three standard errors of the spread of some 25 exchanges, and what is our own."""
TRANSFER, TRANSFER_S = 0.03, 0.005
"""Against the link's own arithmetic: relative, and never less than this."""
TRANSFER_KERNEL = 0.08
"""Relative, between the model's times and those of the kernel's TCP, which packet and kernel links
have."""
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
    round: RoundResult
    losses: tuple[LossResult, ...] = ()
    replays: tuple[ReplayResult, ...] = ()
    shares: tuple[ShareResult, ...] = ()
    unchecked: tuple[str, ...] = ()
    """What the fleet asks for and nothing here measures, a line each."""

    @property
    def median_error(self) -> float | None:
        known = [abs(e) for _, _, e in self.round.errors if e is not None]
        return median(known) if known else None

    @property
    def worst_error(self) -> float | None:
        return max((abs(e) for _, _, e in self.round.errors if e is not None), default=None)

    @property
    def in_time(self) -> int:
        """Devices that were through with it late by no more than a round may be late."""
        allowed_s = max(LAST * self.round.last.asked, LAST_S)
        late_s = ((pair.delivered or math.inf) - pair.asked for pair in self.round.taken)
        return sum(late <= allowed_s for late in late_s)

    @property
    def core_share(self) -> float:
        """Of one core, while the round's transfers should have lasted."""
        return self.round.cpu_s / self.round.transfers_s

    def carries_in_rounds(self) -> int:
        """How many devices like this fleet's a host that it has to itself can take through a round:
        by the processor time that this took, and never more than were in time where not all were.
        """
        by_time = math.floor(self.clients * HEADROOM / self.core_share)
        return by_time if self.in_time == self.clients else min(by_time, self.in_time)

    def carries_at_full_rate(self, busy_share: float) -> int:
        """How many could transfer without a pause at their full rates, on a host that is so busy
        besides: no round asks for that."""
        needed = self.round.cpu_s / self.round.gbit * self.round.gbit_per_s
        free = HEADROOM * max(0.0, 1 - busy_share)
        return math.floor(self.clients * free / needed)

    def broken(self) -> list[str]:
        """One line for each figure outside its bound. Single devices' rates are judged where the
        host could carry all of them at once; otherwise only whom a round would wait for."""
        transfer = TRANSFER if self.net == "stream" else TRANSFER_KERNEL
        rules = [rule for link in self.links for rule in _of_link(link, transfer)]
        rules += [rule for loss in self.losses for rule in _of_loss(loss)]
        rules += [_of_replay(replay) for replay in self.replays if not replay.within]
        rules += [rule for share in self.shares for rule in _of_share(share)]
        if all(map(_steady, self.links)):
            rules += _of_round(self.round.last)
        if self.carries_at_full_rate(0.0) >= self.clients:
            rules += _of_rates(self.median_error, self.worst_error)
        return rules + list(_of_kernel(self.links, self.kernel))


def _of_round(last: Pair) -> Iterator[str]:
    if last.delivered is None or last.delivered - last.asked > max(LAST * last.asked, LAST_S):
        yield f"all at once: a round off by {last.error or 0.0:+.1%}, bound {LAST:.0%}"


def _of_loss(loss: LossResult) -> Iterator[str]:
    where = f"{loss.network}: loss {loss.what}"
    if not loss.by_chance:
        low, high = interval(loss.lost, loss.sent)
        share = f"{loss.lost} of {loss.sent} ({low:.2%} to {high:.2%})"
        yield f"{where}: {loss.asked:.2%} asked, {share} lost"
    pair = loss.transfers
    if pair is None or pair.delivered is None:
        return
    if abs(pair.delivered - pair.asked) > max(loss.allowed * pair.asked, loss.count * TRANSFER_S):
        yield f"{where}: transfers off by {pair.error or 0.0:+.0%}, bound {loss.allowed:.0%}"


def _of_replay(replay: ReplayResult) -> str:
    where = f"client {replay.client}: trace {replay.what}"
    if not replay.windows:
        return f"{where}: nothing came"
    worst = replay.worst
    off = (worst.delivered or 0.0) / worst.asked - 1 if worst.asked else math.inf
    window = f"{replay.window_s:g} s from {worst.what}"
    return f"{where}: {window} off by {off:+.2%}, bound {replay.bound:.0%}"


def _of_share(share: ShareResult) -> Iterator[str]:
    where = f"shared {share.name} {share.what}"
    if share.sum.error is not None and abs(share.sum.error) > SUM:
        yield f"{where}: sum off by {share.sum.error:+.1%}, bound {SUM:.0%}"
    if share.jain is not None and share.jain < JAIN:
        yield f"{where}: Jain's index {share.jain:.4f}, bound {JAIN}"


def _of_link(link: LinkResult, bound: float) -> Iterator[str]:
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
        yield from _of_transfer(link.network, transfer, bound)


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


def _of_rates(middle: float | None, worst: float | None) -> Iterator[str]:
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
