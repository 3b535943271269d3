"""A verification as tables on a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from commands.verification.figure import Pair
from commands.verification.judgement import Verification
from commands.verification.losses import LossResult
from commands.verification.one_round import RoundResult

_BITS = 8 / 1e6
_REPEATED = (
    "{} figures were off at first, measured twice again and judged by the middle one of three: "
    "what they were stands below each."
)


def print_tables(found: Verification, console: Console) -> None:
    host = found.host
    console.print(
        f"{found.profile}, {found.clients} devices, net {found.net}. Host: {host.cores} cores, "
        f"{host.busy_share:.0%} busy before; loopback round trip {host.round_trip_s * 1e3:.2f} ms; "
        f"timer late {host.timer_late_ms_p50:.2f} / {host.timer_late_ms_p99:.2f} ms (p50/p99)",
        highlight=False,
    )
    console.print(_links_table(found))
    if found.replays or found.shares:
        console.print(_together_table(found))
    console.print(_of_all(found), highlight=False)
    for what in found.unchecked:
        console.print(f"  not checked: {what}", style="dim", highlight=False)
    broken = found.broken()
    for rule in broken:
        console.print(f"  {rule}", style="red", highlight=False)
    console.print("OUTSIDE ITS BOUNDS" if broken else "WITHIN ITS BOUNDS", style="bold")
    if found.repeated:
        console.print(_REPEATED.format(found.repeated), highlight=False)


def _of_all(found: Verification) -> str:
    one, late = found.round, found.round.measured
    p50, p99 = late.lateness_ms_p50 or 0.0, late.lateness_ms_p99 or 0.0
    return (
        f"All {found.clients} at once, as in a round: each downloads {one.bytes_each / 1e6:.2g} MB "
        "and then uploads as much; what it would compute in between for the default task is "
        f"counted, not waited for. A round: {one.last.asked:.3f} s asked, "
        f"{one.last.delivered or 0:.3f} s delivered ({one.last.error or 0.0:+.1%}); "
        f"{one.in_time} of {found.clients} devices in time; rates off by "
        f"{_share(one.median_error)} median, {_share(one.worst_error)} worst; lateness "
        f"{p50:.2f} / {p99:.2f} ms (p50/p99).{_rounds_tried(one)} "
        f"It keeps {one.core_share:.0%} of a core busy: in rounds this host "
        f"carries about {one.carried_in_rounds()} such devices.\n"
        f"Without a pause at full rate ({one.gbit_per_s:.2f} Gbit/s, "
        f"{one.cpu_s / one.gbit:.2f} s of processor time a Gbit), which no round asks for: about "
        f"{one.carried_at_full_rate(found.host.busy_share)} at once now, "
        f"{one.carried_at_full_rate(0.0)} with nobody else on it."
    )


def _rounds_tried(one: RoundResult) -> str:
    if len(one.tried) < 2:
        return ""
    errors = "; ".join(
        f"{each.last.error or 0.0:+.1%}, rates {_share(each.worst_error)} worst"
        for each in one.tried
    )
    return f" Measured {len(one.tried)} times, this is the middle one: {errors}."


def _links_table(found: Verification) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("each by itself", no_wrap=True)
    for name in ("asked", "delivered", "error", "kernel's TCP"):
        table.add_column(name, justify="right", no_wrap=True)
    theirs = {(k.network, t.what): t for k in found.kernel for t in k.transfers}
    for link in found.links:
        loss = f", {link.loss:g} lost" if link.loss else ""
        table.add_row(f"[bold]{link.network}[/]{loss}")
        for rate in link.rates:
            _add(table, f"rate {rate.what}", rate, (_BITS, "Mbit/s"))
        _add(table, "round trip", link.rtt, (1e3, "ms"))
        if link.jitter is not None:
            _add(table, "jitter", link.jitter, (1e3, "ms"))
        for pair in link.transfers:
            _add(table, pair.what, pair, (1.0, "s"), theirs.get((link.network, pair.what)))
        for lost in found.losses:
            if lost.network == link.network:
                _add_loss(table, lost)
    return table


def _add_loss(table: Table, loss: LossResult) -> None:
    delivered = "not measured" if loss.share is None else f"{loss.share:.3%}"
    table.add_row(f"  loss {loss.what}", f"{loss.asked:.3%}", delivered, f"of {loss.sent}")
    if loss.transfers is not None:
        _add(table, f"{loss.transfers.what} {loss.what}", loss.transfers, (1.0, "s"))


def _add(
    table: Table, name: str, pair: Pair, unit: tuple[float, str], kernel: Pair | None = None
) -> None:
    theirs = "" if kernel is None else _values((kernel.delivered,), unit)
    table.add_row(f"  {name}", *_cells(pair, *unit), theirs)
    if pair.repeated or (kernel is not None and kernel.repeated):
        mine = _values(pair.tried, unit) if pair.repeated else ""
        theirs = _values(kernel.tried, unit) if kernel is not None and kernel.repeated else ""
        table.add_row("    measured", "", mine, "", theirs, style="dim")


def _values(values: Sequence[float | None], unit: tuple[float, str]) -> str:
    factor, name = unit
    shown = ("none" if value is None else f"{value * factor:.4g}" for value in values)
    return f"{', '.join(shown)} {name}"


def _together_table(found: Verification) -> Table:
    """What is checked of several devices at once."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("at once", no_wrap=True)
    for name in ("asked", "delivered", "error", ""):
        table.add_column(name, justify="right", no_wrap=True)
    for replay in found.replays:
        table.add_row(f"client {replay.client}: trace {replay.what}")
        if len(replay.tried) > 1:
            worst = ", ".join(f"{one.off:.2f}" for one in replay.tried)
            table.add_row("    worst windows, in bounds", "", worst, style="dim")
        for pair in (*replay.windows, replay.total):
            table.add_row(f"  {pair.what}", *_cells(pair, 1e-6, "MB"))
    for share in found.shares:
        index = "" if share.jain is None else f"Jain {share.jain:.5f} over {share.equal}"
        name = f"shared {share.name} {share.what}, {share.members} devices"
        table.add_row(name, *_cells(share.sum, _BITS, "Mbit/s"), index)
        if len(share.tried) > 1:
            sums = _values([one.sum.delivered for one in share.tried], (_BITS, "Mbit/s"))
            indices = ", ".join(f"{one.jain:.5f}" for one in share.tried if one.jain is not None)
            table.add_row("    measured", "", sums, "", indices, style="dim")
    return table


def _cells(pair: Pair, factor: float, unit: str) -> tuple[str, str, str]:
    asked = f"{pair.asked * factor:.4g} {unit}"
    if pair.delivered is None:
        return asked, "not measured", ""
    error = f"{pair.error:+.2%}" if pair.asked else ""
    return asked, f"{pair.delivered * factor:.4g} {unit}", error


def _share(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.2%}"
