"""Verify's verdict: which figures lie outside their bounds, how many devices the host carries."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from commands.verification.bounds import (
    JAIN,
    JITTER,
    LAST,
    RATE_TOGETHER,
    RATE_TOGETHER_MEDIAN,
    RTT_S,
    SUM,
    TRANSFER,
    TRANSFER_KERNEL,
    jitter_off,
    late_off,
    rate_off,
    transfer_off,
    trip_off,
)
from commands.verification.figure import Pair
from commands.verification.kernels import against_kernel
from commands.verification.losses import LossResult, interval
from commands.verification.measuring import LinkResult
from commands.verification.one_round import RoundResult
from commands.verification.replays import ReplayResult
from commands.verification.shares import ShareResult


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
    def repeated(self) -> int:
        """Figures that were off at first and measured twice again."""
        pairs = [p for link in (*self.links, *self.kernel) for p in link.figures]
        pairs += [loss.transfers for loss in self.losses if loss.transfers is not None]
        counts = [len(self.round.tried), *(len(one.tried) for one in self.replays)]
        counts += [len(one.tried) for one in self.shares]
        return sum(pair.repeated for pair in pairs) + sum(count > 1 for count in counts)

    def broken(self) -> list[str]:
        """One line for each figure outside its bound. Single devices' rates are judged where the
        host could carry all of them at once; otherwise only whom a round would wait for."""
        bound = TRANSFER if self.net == "stream" else TRANSFER_KERNEL
        rules = [rule for link in self.links for rule in _of_link(link, bound)]
        rules += [rule for loss in self.losses for rule in _of_loss(loss)]
        rules += [_of_replay(replay) for replay in self.replays if not replay.within]
        rules += [rule for share in self.shares for rule in _of_share(share)]
        if all(link.steady for link in self.links):
            rules += _of_last(self.round)
        if self.round.rates_judged():
            rules += _of_rates(self.round)
        return rules + list(_of_kernel(self.links, self.kernel))


def _again(tried: int) -> str:
    """Whether it was seen more than once."""
    return f", the middle one of {tried}" if tried > 1 else ""


def _of_last(found: RoundResult) -> Iterator[str]:
    if late_off(found.last) > 1:
        off = f"{found.last.error or 0.0:+.1%}, bound {LAST:.0%}"
        yield f"all at once: a round off by {off}{_again(len(found.tried))}"


def _of_loss(loss: LossResult) -> Iterator[str]:
    where = f"{loss.network}: loss {loss.what}"
    if not loss.by_chance:
        low, high = interval(loss.lost, loss.sent)
        share = f"{loss.lost} of {loss.sent} ({low:.2%} to {high:.2%})"
        yield f"{where}: {loss.asked:.2%} asked, {share} lost"
    pair = loss.transfers
    if pair is not None and loss.off > 1:
        off = f"{pair.error or 0.0:+.0%}, bound {loss.allowed:.0%}{_again(len(pair.tried))}"
        yield f"{where}: transfers off by {off}"


def _of_replay(replay: ReplayResult) -> str:
    where = f"client {replay.client}: trace {replay.what}"
    if not replay.windows:
        return f"{where}: nothing came"
    worst = replay.worst
    off = (worst.delivered or 0.0) / worst.asked - 1 if worst.asked else math.inf
    window = f"{replay.window_s:g} s from {worst.what}"
    again = _again(len(replay.tried))
    return f"{where}: {window} off by {off:+.2%}, bound {replay.bound:.0%}{again}"


def _of_share(share: ShareResult) -> Iterator[str]:
    where, again = f"shared {share.name} {share.what}", _again(len(share.tried))
    if share.sum.error is not None and abs(share.sum.error) > SUM:
        yield f"{where}: sum off by {share.sum.error:+.1%}, bound {SUM:.0%}{again}"
    if share.jain is not None and share.jain < JAIN:
        yield f"{where}: Jain's index {share.jain:.4f}, bound {JAIN}{again}"


def _of_link(link: LinkResult, bound: float) -> Iterator[str]:
    for rate, most in link.bounded_rates:
        # With loss a sender does not fill the link: that is no error of the emulation.
        if link.loss == 0 and rate_off(rate, most) > 1:
            again = _again(len(rate.tried))
            yield f"{link.network}: rate {rate.what} {_off(rate, 2)}, bound {most:.1%}{again}"
    if link.jitter is not None and jitter_off(link.jitter) > 1:
        again = _again(len(link.jitter.tried))
        yield f"{link.network}: jitter {_off(link.jitter, 0)}, bound {JITTER:.0%}{again}"
    trip, again = link.rtt, _again(len(link.rtt.tried))
    if link.jitter is None and trip_off(trip) > 1:
        off_ms = 1e3 * ((trip.delivered or math.inf) - trip.asked)
        yield f"{link.network}: round trip off by {off_ms:+.2f} ms, bound {RTT_S * 1e3:g} ms{again}"
    for transfer in link.transfers if link.steady else ():
        yield from _of_transfer(link.network, transfer, bound)


def _of_transfer(
    network: str, transfer: Pair, bound: float, against: str = "its model"
) -> Iterator[str]:
    if transfer_off(transfer, bound) > 1:
        judged = f"{_off(transfer, 1)} against {against}, bound {bound:.0%}"
        yield f"{network}: {transfer.what} {judged}{_again(len(transfer.tried))}"


def _off(pair: Pair, digits: int) -> str:
    return "not measured" if pair.error is None else f"off by {pair.error:+.{digits}%}"


def _of_rates(found: RoundResult) -> Iterator[str]:
    middle, worst, again = found.median_error, found.worst_error, _again(len(found.tried))
    if middle is not None and middle > RATE_TOGETHER_MEDIAN:
        bound = f"{RATE_TOGETHER_MEDIAN:.1%}"
        yield f"all at once: median rate error {middle:.2%}, bound {bound}{again}"
    if worst is not None and worst > RATE_TOGETHER:
        yield f"all at once: worst rate error {worst:.2%}, bound {RATE_TOGETHER:.0%}{again}"


def _of_kernel(links: Sequence[LinkResult], kernel: Sequence[LinkResult]) -> Iterator[str]:
    theirs = {(k.network, t.what): t for k in kernel for t in k.transfers}
    for link in links:
        for mine in link.transfers if link.steady else ():
            other = theirs.get((link.network, mine.what))
            if other is not None:
                against = against_kernel(mine, other)
                yield from _of_transfer(link.network, against, TRANSFER_KERNEL, "the kernel's TCP")
