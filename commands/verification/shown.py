"""A verification as a table, as JSON and as a page with plots."""

from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from commands.verification.judgement import Verification
from commands.verification.measuring import LinkResult, Pair
from protocol.telemetry import Json
from runs.records import plain
from runs.report import page
from runs.svg import Chart, escape, legend, nice_ticks

SCHEMA = 1
_BLUE, _ORANGE, _GREY = "#0072b2", "#e69f00", "#8a939c"
_BITS = 8 / 1e6


def as_json(found: Verification) -> dict[str, Json]:
    broken = found.broken()
    return {
        "schema": SCHEMA,
        "profile": found.profile,
        "net": found.net,
        "clients": found.clients,
        "host": plain(asdict(found.host)),
        "links": [_link_json(link) for link in found.links],
        "kernel": [_link_json(link) for link in found.kernel],
        "together": {
            "rate_error": {"p50": found.median_error, "max": found.worst_error},
            "lateness_ms": {
                "p50": found.together.measured.lateness_ms_p50,
                "p99": found.together.measured.lateness_ms_p99,
                "max": found.together.measured.lateness_ms_max,
            },
            "last": [_pair_json(pair) for pair in found.together.last],
            "cpu_s_per_gbit": found.together.cpu_s_per_gbit,
            "gbit_per_s": found.together.gbit_per_s,
            "devices": [
                {"client": c, "what": what, "error": error}
                for c, what, error in found.together.errors
            ],
        },
        "carries": {
            "now": found.carries(found.host.busy_share),
            "with_the_host_to_itself": found.carries(0.0),
        },
        "within": not broken,
        "broken": plain(broken),
        "unchecked": list(found.unchecked),
    }


def _link_json(link: LinkResult) -> Json:
    return {
        "network": link.network,
        "loss": link.loss,
        "rates": [_pair_json(pair) for pair in link.rates],
        "round_trip": _pair_json(link.rtt),
        "jitter": None if link.jitter is None else _pair_json(link.jitter),
        "transfers": [_pair_json(pair) for pair in link.transfers],
    }


def _pair_json(pair: Pair) -> Json:
    return {"what": pair.what, "asked": pair.asked, "delivered": pair.delivered}


def print_tables(found: Verification, console: Console) -> None:
    host = found.host
    console.print(
        f"{found.profile}, {found.clients} devices, net {found.net}. Host: {host.cores} cores, "
        f"{host.busy_share:.0%} busy before; loopback round trip {host.round_trip_s * 1e3:.2f} ms; "
        f"timer late {host.timer_late_ms_p50:.2f} / {host.timer_late_ms_p99:.2f} ms (p50/p99)",
        highlight=False,
    )
    console.print(_links_table(found))
    console.print(_of_all(found), highlight=False)
    for what in found.unchecked:
        console.print(f"  not checked: {what}", style="dim", highlight=False)
    broken = found.broken()
    for rule in broken:
        console.print(f"  {rule}", style="red", highlight=False)
    console.print("OUTSIDE ITS BOUNDS" if broken else "WITHIN ITS BOUNDS", style="bold")


def _of_all(found: Verification) -> str:
    together, late = found.together, found.together.measured
    lasts = ", ".join(
        f"{pair.what} {pair.asked:.3f} s asked, {pair.delivered or 0:.3f} s delivered"
        for pair in together.last
    )
    p50, p99 = late.lateness_ms_p50 or 0.0, late.lateness_ms_p99 or 0.0
    return (
        f"All {found.clients} at once, the last: {lasts}; rates off by "
        f"{_share(found.median_error)} median, {_share(found.worst_error)} worst; lateness "
        f"{p50:.2f} / {p99:.2f} ms (p50/p99).\n{together.cpu_s_per_gbit:.2f} s of processor time a "
        f"Gbit, and {together.gbit_per_s:.2f} Gbit/s at full rates: this host carries about "
        f"{found.carries(found.host.busy_share)} of them transferring at once now, "
        f"{found.carries(0.0)} with nobody else on it."
    )


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
            table.add_row(f"  rate {rate.what}", *_cells(rate, _BITS, "Mbit/s"))
        table.add_row("  round trip", *_cells(link.rtt, 1e3, "ms"))
        if link.jitter is not None:
            table.add_row("  jitter", *_cells(link.jitter, 1e3, "ms"))
        for pair in link.transfers:
            other = theirs.get((link.network, pair.what))
            kernel = "" if other is None or other.delivered is None else f"{other.delivered:.3f} s"
            table.add_row(f"  {pair.what}", *_cells(pair, 1.0, "s"), kernel)
    return table


def _cells(pair: Pair, factor: float, unit: str) -> tuple[str, str, str]:
    asked = f"{pair.asked * factor:.4g} {unit}"
    if pair.delivered is None:
        return asked, "not measured", ""
    return asked, f"{pair.delivered * factor:.4g} {unit}", f"{pair.error:+.2%}"


def _share(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.2%}"


def as_page(found: Verification) -> str:
    """Self-contained: no network, no script."""
    broken = found.broken()
    verdict = "; ".join(broken) if broken else "within its bounds"
    body = (
        f"<h1>{escape(found.profile)}: asked against delivered ({escape(found.net)} links)</h1>"
        f'<p class="{"bad" if broken else "good"}">{escape(verdict)}</p>'
        f'<div class="plots"><div class="card">{_rates_chart(found)}</div>'
        f'<div class="card">{_transfers_chart(found)}</div></div>'
    )
    return page(f"verify {found.profile}", body)


def _rates_chart(found: Verification) -> str:
    errors = [(c, what, e * 100) for c, what, e in found.together.errors if e is not None]
    reach = max([2.0, *(abs(e) for _, _, e in errors)])
    chart = Chart(
        "All devices at once: error of each one's rate",
        nice_ticks(float(max(1, found.clients)), 10),
        nice_ticks(reach, 4, -reach),
        "client (dashed: the bound)",
        "%",
    )
    chart.x_axis()
    chart.y_axis()
    for client, what, error in errors:
        at = chart.x(client + (0.3 if what == "down" else 0.0))
        colour = _BLUE if what == "up" else _ORANGE
        tip = f"client {client} {what}: {error:+.3f} %"
        chart.rect((at - 3, at + 3), (chart.y(error) - 3, chart.y(error) + 3), colour, tip)
    return chart.render() + legend([(_BLUE, "up"), (_ORANGE, "down")])


def _transfers_chart(found: Verification) -> str:
    pairs = [(link, t) for link in found.links for t in link.transfers if t.delivered is not None]
    theirs = {(k.network, t.what): t.delivered for k in found.kernel for t in k.transfers}
    errors = [(t.error or 0.0) * 100 for _, t in pairs]
    reach = max([8.0, *(abs(e) for e in errors)])
    chart = Chart(
        "One transfer over a fresh connection, against what it should take",
        nice_ticks(max(0.1, max((t.asked for _, t in pairs), default=1.0)), 8),
        nice_ticks(reach, 4, -reach),
        "seconds that it should take",
        "%",
    )
    chart.x_axis()
    chart.y_axis()
    for (link, pair), error in zip(pairs, errors, strict=True):
        _dot(chart, pair.asked, error, (_BLUE, f"{link.network} {pair.what}: {error:+.2f} %"))
        kernel = theirs.get((link.network, pair.what))
        if kernel is not None:
            off = (kernel / pair.asked - 1) * 100
            tip = f"kernel's TCP, {link.network} {pair.what}: {off:+.2f} %"
            if abs(off) <= reach:
                _dot(chart, pair.asked, off, (_GREY, tip))
    return chart.render() + legend([(_BLUE, "delivered"), (_GREY, "the kernel's TCP")])


def _dot(chart: Chart, x: float, y: float, mark: Sequence[str]) -> None:
    colour, tip = mark
    at, level = chart.x(x), chart.y(y)
    chart.rect((at - 3, at + 3), (level - 3, level + 3), colour, tip)
