"""The five plots of a report: who did what when, round time, metric, keep ratio, bytes.

Knows rows and spans; nothing of the page around.
"""

from collections.abc import Mapping, Sequence

from protocol.telemetry import Span
from runs import svg, words
from runs.derive import round_span
from runs.ledger import Ledger
from runs.measured import measure
from runs.phases import CLIENT_PHASES, COLOUR, NAMES, PHASES
from runs.rows import ClientRow, RoundRow
from runs.svg import BOTTOM, TOP, Chart, nice_ticks

LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#6b7f8c")
_MOST_CLIENTS = 60
_ROW = 16
"""Pixels of a client in a Gantt chart."""


def phase_legend() -> str:
    return svg.legend([(phase.colour, phase.says) for phase in PHASES])


def gantt(ledger: Ledger, round_: int, stragglers: Sequence[int], span_s: float) -> str:
    """One row a client, from the plan's sending; the x axis reaches `span_s`."""
    spans = ledger.drawn[round_]
    window = round_span(spans)
    seen = {client for client, own in measure(spans).items() if own.seconds}
    first = sorted(seen, key=lambda client: (client not in stragglers, client))
    clients = sorted(first[:_MOST_CLIENTS])
    if window is None or not clients:
        return ""
    ticks = nice_ticks(span_s, 8)
    row = ledger.rounds[round_]
    kind = "warm-up, nothing pruned" if row.warmup else "after warm-up"
    part = f", {len(clients)} of {len(seen)} clients" if len(clients) < len(seen) else ""
    chart = Chart(
        f"Round {round_} by client and phase ({kind}{part})",
        ticks,
        [0, 1],
        "seconds since the plan was sent",
        width=1060,
        height=TOP + BOTTOM + _ROW * len(clients),
        left=190,
    )
    chart.x_axis()
    for index, client in enumerate(clients):
        top = TOP + _ROW * index
        _gantt_row(chart, [s for s in spans if s.client == client], window, top)
        mark = "▲ " if client in stragglers else ""
        place = ledger.places.get(client)
        name = f"{mark}{client} {place.device or '' if place else ''}"
        style = 'text-anchor="end"' + (' class="straggler"' if mark else "")
        chart.text(chart.left - 6, top + 12, name[:30], style)
    chart.marker(chart.x(window.end_s - window.start_s), "")
    return chart.render()


def _gantt_row(chart: Chart, spans: Sequence[Span], window: Span, top: float) -> None:
    for span in spans:
        if span.phase in CLIENT_PHASES and span.end_s > window.start_s:
            start = max(0.0, span.start_s - window.start_s)
            end = min(span.end_s - window.start_s, chart.x_ticks[-1])
            tip = f"client {span.client}, {span.phase}: {words.seconds(span.end_s - span.start_s)}"
            x = (chart.x(start), chart.x(max(start, end)))
            chart.rect(x, (top + 2, top + 14), COLOUR[span.phase], tip)


def round_times(rounds: Sequence[RoundRow]) -> str:
    """Stacked by phase of the critical path."""
    timed = [row for row in rounds if row.round_s is not None]
    if not timed:
        return ""
    ticks = nice_ticks(1.1 * max(row.round_s or 0.0 for row in timed))  # room for the label
    chart = Chart(
        "Round time by phase of its critical path", [0, len(timed)], ticks, "round", "seconds"
    )
    _warmup_band(chart, timed)
    chart.y_axis()
    for index, row in enumerate(timed):
        _stack(chart, index, row)
    _round_labels(chart, timed)
    chart.x_axis(labels=False)
    return chart.render()


def _stack(chart: Chart, index: int, row: RoundRow) -> None:
    base = 0.0
    x = (chart.x(index + 0.12), chart.x(index + 0.88))
    for name in NAMES:
        height = row.critical.seconds.get(name, 0.0)
        if height > 0:
            tip = f"round {row.round}, {name}: {words.seconds(height)}"
            chart.rect(x, (chart.y(base), chart.y(base + height)), COLOUR[name], tip)
            base += height


def _warmup_band(chart: Chart, rows: Sequence[RoundRow]) -> None:
    warmup = sum(row.warmup for row in rows)
    if warmup:
        chart.band(chart.x(0), chart.x(warmup))
        chart.text(chart.x(0) + 4, TOP + 10, "warm-up", 'class="small"')


def _round_labels(chart: Chart, rows: Sequence[RoundRow]) -> None:
    every = max(1, len(rows) // 20)
    for index, row in enumerate(rows):
        if index % every == 0:
            at = chart.x(index + 0.5)
            chart.text(at, chart.height - BOTTOM + 14, str(row.round), 'text-anchor="middle"')


def metric_over_time(rounds: Sequence[RoundRow], name: str) -> str:
    """`name`: as a title."""
    points = [
        (row.elapsed_s, row.metric, row.round)
        for row in rounds
        if row.elapsed_s is not None and row.metric is not None
    ]
    if not points:
        return ""
    low, high = min(y for _, y, _ in points), max(y for _, y, _ in points)
    chart = Chart(
        f"{name} over emulated time",
        nice_ticks(points[-1][0]),
        nice_ticks(high, bottom=low),
        "seconds of rounds so far (evaluation not counted)",
        name,
    )
    chart.x_axis()
    chart.y_axis()
    tips = [f"round {r}: {y:.4g} after {words.seconds(x)}" for x, y, r in points]
    chart.line([(x, y) for x, y, _ in points], LINES[0], tips)
    return chart.render()


def keep_ratios(ledger: Ledger, stragglers: Sequence[int]) -> str:
    """Of the stragglers, or of whoever called itself one where nobody was measured to be."""
    declared = {c for rows in ledger.clients.values() for c, r in rows.items() if _pruned(r)}
    declared |= ledger.keep_ratios.keys()
    shown = [*stragglers, *sorted(declared - set(stragglers))][: len(LINES)]
    rounds = [row.round for row in ledger.ordered()]
    lines = {client: _keeps(ledger, client, rounds) for client in shown}
    lines = {client: points for client, points in lines.items() if points}
    if not lines:
        return ""
    ends = [rounds[0] - 0.5, rounds[-1] + 0.5]
    chart = Chart("Keep ratio of each straggler", ends, [0, 0.25, 0.5, 0.75, 1], "round", "kept")
    chart.y_axis()
    chart.x_axis(labels=False)
    for round_ in rounds[:: max(1, len(rounds) // 20)]:
        at = chart.x(round_)
        chart.text(at, chart.height - BOTTOM + 14, str(round_), 'text-anchor="middle"')
    for colour, (client, points) in zip(LINES, lines.items(), strict=False):
        chart.line(points, colour, [f"client {client}, round {x:g}: {y:.3g}" for x, y in points])
    names = [(colour, f"client {client}") for colour, client in zip(LINES, lines, strict=False)]
    return chart.render() + svg.legend(names)


def _pruned(row: ClientRow) -> bool:
    return row.keep_ratio is not None and row.keep_ratio < 1


def _keeps(ledger: Ledger, client: int, rounds: Sequence[int]) -> list[tuple[float, float]]:
    rows = [ledger.clients[round_].get(client) for round_ in rounds if round_ in ledger.clients]
    kept = [(r.round, r.keep_ratio) for r in rows if r is not None and r.keep_ratio is not None]
    return sorted([*ledger.keep_ratios.get(client, ()), *kept])


def bytes_per_client(totals: Mapping[int, tuple[int, int]]) -> str:
    """`totals`: bytes (up, down) of each client over the run."""
    if not any(up or down for up, down in totals.values()):
        return ""
    shown = sorted(totals)[:_MOST_CLIENTS]
    scale, unit = _unit(max(max(totals[client]) for client in shown))
    chart = Chart(
        "Bytes of each client over the run",
        [0, len(shown)],
        nice_ticks(max(max(totals[client]) for client in shown) / scale),
        "client",
        unit,
    )
    chart.y_axis()
    chart.x_axis(labels=False)
    every = max(1, len(shown) // 20)
    for index, client in enumerate(shown):
        for at, way, colour in ((0.1, 0, LINES[0]), (0.5, 1, LINES[5])):
            value = totals[client][way]
            x = (chart.x(index + at), chart.x(index + at + 0.4))
            tip = f"client {client} {('up', 'down')[way]}: {words.size(value)}"
            chart.rect(x, (chart.y(0), chart.y(value / scale)), colour, tip)
        if index % every == 0:
            base = chart.height - BOTTOM + 14
            chart.text(chart.x(index + 0.5), base, str(client), 'text-anchor="middle"')
    return chart.render() + svg.legend([(LINES[0], "up"), (LINES[5], "down")])


def _unit(largest: float) -> tuple[float, str]:
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if largest >= factor:
            return factor, unit
    return 1.0, "bytes"
