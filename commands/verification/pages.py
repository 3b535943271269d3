"""A verification as a page with plots."""

from collections.abc import Iterator, Sequence

from commands.verification.bounds import LAST
from commands.verification.figure import Pair
from commands.verification.judgement import Verification
from commands.verification.losses import interval
from runs.report import page
from runs.svg import Chart, escape, legend, nice_ticks

_BLUE, _ORANGE, _GREY = "#0072b2", "#e69f00", "#8a939c"


def as_page(found: Verification) -> str:
    """Self-contained: no network, no script."""
    broken = found.broken()
    verdict = "; ".join(broken) if broken else "within its bounds"
    if found.repeated:
        verdict += f" ({found.repeated} figures measured three times: the middle ones)"
    body = (
        f"<h1>{escape(found.profile)}: asked against delivered ({escape(found.net)} links)</h1>"
        f'<p class="{"bad" if broken else "good"}">{escape(verdict)}</p>'
        f'<div class="plots">{"".join(map(_card, _plots(found)))}</div>'
    )
    return page(f"verify {found.profile}", body)


def _plots(found: Verification) -> Iterator[str]:
    yield _round_chart(found)
    yield _transfers_chart(found)
    if found.replays:
        yield _replays_chart(found)
    if found.losses:
        yield _losses_chart(found)
    if found.shares:
        yield _shares_table(found)


def _card(plot: str) -> str:
    return f'<div class="card">{plot}</div>'


def _round_chart(found: Verification) -> str:
    errors = [(n, (pair.error or 0.0) * 100) for n, pair in enumerate(found.round.taken)]
    reach = max([LAST * 200, *(abs(e) for _, e in errors)])
    chart = _signed(
        "All devices at once: time of each one's round",
        nice_ticks(float(max(1, found.clients)), 10),
        reach,
        "client",
    )
    for client, error in errors:
        _dot(chart, client, error, (_BLUE, f"client {client}: {error:+.2f} %"))
    return chart.render()


def _replays_chart(found: Verification) -> str:
    """Windows of all replays, in the order of time."""
    series = [(replay, n, w) for replay in found.replays for n, w in enumerate(replay.windows)]
    errors = [(w.error or 0.0) * 100 for _, _, w in series]
    seconds = [n * replay.window_s for replay, n, _ in series]
    chart = _signed(
        "Traces: bytes in each window, against the trace's integral",
        nice_ticks(max([1.0, *seconds]), 8),
        max([1.0, *map(abs, errors)]),
        "seconds from the first window",
    )
    for (replay, _, window), second, error in zip(series, seconds, errors, strict=True):
        colour = _BLUE if replay.what == "up" else _ORANGE
        tip = f"client {replay.client} {replay.what}, {window.what}: {error:+.3f} %"
        _dot(chart, second, error, (colour, tip))
    return chart.render() + legend([(_BLUE, "up"), (_ORANGE, "down")])


def _losses_chart(found: Verification) -> str:
    """What was counted, with what chance leaves open."""
    bounds = [interval(loss.lost, loss.sent) for loss in found.losses]
    chart = Chart(
        "Loss: asked, and counted with its interval of 99.9 %",
        nice_ticks(100 * max(loss.asked for loss in found.losses), 6),
        nice_ticks(100 * max(high for _, high in bounds), 6),
        "asked, %",
        "counted, %",
    )
    chart.x_axis()
    chart.y_axis()
    for loss, (low, high) in zip(found.losses, bounds, strict=True):
        tip = f"{loss.network} {loss.what}: {loss.lost} of {loss.sent}, {loss.asked:.2%} asked"
        at = 100 * loss.asked
        chart.line([(at, 100 * low), (at, 100 * high)], _GREY, [tip, tip])
        _dot(chart, at, 100 * (loss.share or 0.0), (_BLUE, tip))
    return chart.render()


def _signed(title: str, x_ticks: list[float], reach: float, x_title: str) -> Chart:
    chart = Chart(title, x_ticks, nice_ticks(reach, 4, -reach), x_title, "%")
    chart.x_axis()
    chart.y_axis()
    return chart


def _shares_table(found: Verification) -> str:
    rows = "".join(
        f"<tr><td>{escape(s.name)} {s.what}</td><td>{s.sum.asked * 8e-6:.4g}</td>"
        f"<td>{(s.sum.delivered or 0.0) * 8e-6:.4g}</td>"
        f"<td>{'' if s.jain is None else f'{s.jain:.5f}'}</td></tr>"
        for s in found.shares
    )
    head = "<tr><th>shared link</th><th>asked, Mbit/s</th><th>delivered</th><th>Jain</th></tr>"
    return f"<table>{head}{rows}</table>"


def _transfers_chart(found: Verification) -> str:
    pairs = [(link, t) for link in found.links for t in link.transfers if t.delivered is not None]
    theirs = {(k.network, t.what): t.delivered for k in found.kernel for t in k.transfers}
    errors = [(t.error or 0.0) * 100 for _, t in pairs]
    reach = max([8.0, *(abs(e) for e in errors)])
    chart = _signed(
        "One transfer over a fresh connection, against what it should take",
        nice_ticks(max(0.1, max((t.asked for _, t in pairs), default=1.0)), 8),
        reach,
        "seconds that it should take",
    )
    for (link, pair), error in zip(pairs, errors, strict=True):
        tip = f"{link.network} {pair.what}: {error:+.2f} %{_tried(pair)}"
        _dot(chart, pair.asked, error, (_BLUE, tip))
        kernel = theirs.get((link.network, pair.what))
        if kernel is not None:
            off = (kernel / pair.asked - 1) * 100
            tip = f"kernel's TCP, {link.network} {pair.what}: {off:+.2f} %"
            if abs(off) <= reach:
                _dot(chart, pair.asked, off, (_GREY, tip))
    return chart.render() + legend([(_BLUE, "delivered"), (_GREY, "the kernel's TCP")])


def _tried(pair: Pair) -> str:
    if not pair.repeated:
        return ""
    seconds = ", ".join("none" if one is None else f"{one:.3f}" for one in pair.tried)
    return f", the middle one of {seconds} s"


def _dot(chart: Chart, x: float, y: float, mark: Sequence[str]) -> None:
    colour, tip = mark
    at, level = chart.x(x), chart.y(y)
    chart.rect((at - 3, at + 3), (level - 3, level + 3), colour, tip)
