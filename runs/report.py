"""report.html: a run on one page that needs nothing else: no network, no script.

Knows the summary and the ledger it is from; what it says is in `reading`, what it draws in
`plots`.
"""

from collections.abc import Mapping, Sequence

from runs import plots, reading, words
from runs.ledger import Ledger
from runs.reading import Summary
from runs.svg import escape
from runs.values import items, number

_STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1d2228;--quiet:#626b75;--grid:#e4e7ea;
--band:#f1f3f5;--bad:#b3261e;--good:#1b7f4d;--card:#fafbfc}
@media(prefers-color-scheme:dark){:root{--paper:#15181c;--ink:#e6e9ec;--quiet:#9aa4ae;
--grid:#2c3238;--band:#1d2227;--bad:#ff8a80;--good:#6fcf97;--card:#1a1e23}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1120px;padding:32px 24px 64px;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
h1{font-size:24px;margin:0}h2{font-size:17px;margin:36px 0 10px}
p{margin:6px 0}.quiet{color:var(--quiet)}.bad{color:var(--bad);font-weight:600}
.good{color:var(--good);font-weight:600}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:14px}
th,td{text-align:left;padding:5px 10px 5px 0;border-bottom:1px solid var(--grid);vertical-align:top}
td{white-space:pre-wrap}th{font-weight:500;color:var(--quiet)}.wide{overflow-x:auto}
td.n,th.n{text-align:right}table.facts th{width:130px;white-space:nowrap}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(440px,1fr));gap:18px}
.tall{display:grid;gap:18px}
.card{background:var(--card);border:1px solid var(--grid);border-radius:8px;padding:12px 14px}
figure{margin:0}figcaption{font-weight:600;font-size:14px;margin-bottom:6px}
svg{width:100%;height:auto;display:block}
svg text{fill:var(--quiet);font-size:11px}svg text.label{font-size:12px}
svg text.small{font-size:10px}
svg text.straggler{fill:var(--bad);font-weight:600}
svg .grid{stroke:var(--grid)}svg .band{fill:var(--band)}
svg .mark{stroke:var(--ink);stroke-dasharray:3 3}
.legend{font-size:12.5px;color:var(--quiet);margin:8px 0}
.key{display:inline-block;margin-right:14px;white-space:nowrap}
.key i{display:inline-block;width:11px;height:11px;border-radius:2px;margin-right:5px}
"""


def report_html(summary: Summary, ledger: Ledger) -> str:
    """The whole page."""
    return page(
        str(summary["run"]),
        f"{_head(summary)}{_facts(summary)}{_stragglers(summary)}{_plots(summary, ledger)}"
        f"{_rounds(summary, ledger)}{_devices(summary)}",
    )


def page(title: str, body: str) -> str:
    """HTML around a body, with the style that charts and tables go by."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )


def _head(summary: Summary) -> str:
    status = "" if summary["status"] == "finished" else f"{summary['status']}: {summary['reason']}"
    return (
        f"<header><h1>{escape(reading.headline(summary))}</h1>"
        f'<p class="quiet">{escape(reading.setting(summary))} · {escape(summary["run"])}</p>'
        + (f'<p class="bad">{escape(status)}</p>' if status else "")
        + _verdict(summary)
        + "</header>"
    )


def _verdict(summary: Summary) -> str:
    kind = {True: "good", False: "bad", None: "quiet"}[reading.stable(summary)]
    why = reading.broken(summary)
    if reading.stable(summary) is False:
        why = f": {why}. The emulation did not hold; no number below is to be relied on."
    return f'<p class="{kind}">{reading.verdict(summary)}{escape(why)}</p>'


def _facts(summary: Summary) -> str:
    mark = "UNSTABLE " if reading.stable(summary) is False else ""
    facts = [
        ("Round time", mark + reading.round_time(summary)),
        ("Speed-up", mark + reading.speedup(summary)),
        (reading.metric_name(summary), reading.metric(summary)),
        ("To target", reading.target(summary)),
        ("Traffic", reading.traffic(summary)),
        ("Sparsity", reading.sparsity(summary)),
        ("Aggregation", reading.aggregation(summary)),
        ("Fidelity", reading.fidelity(summary)),
        ("Outside rounds", reading.outside(summary)),
        ("Event log", reading.event_log(summary)),
    ]
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(fact)}</td></tr>" for name, fact in facts if fact
    )
    return f'<table class="facts">{rows}</table>'


def _stragglers(summary: Summary) -> str:
    rows = reading.straggler_rows(summary)
    title = f"Stragglers, measured on {summary['stragglers_from']}"
    if not rows:
        return f'<h2>Stragglers</h2><p class="quiet">none ({summary["stragglers_from"]})</p>'
    return _table(title, reading.STRAGGLER_COLUMNS, rows, reading.NUMERIC_COLUMNS)


def _plots(summary: Summary, ledger: Ledger) -> str:
    found = [s for s in items(summary, "stragglers") if isinstance(s, Mapping)]
    stragglers = [s["client"] for s in found]
    rounds = ledger.ordered()
    longest = [ledger.rounds[r].round_s or 0.0 for r in ledger.drawn]
    gantts = [
        plots.gantt(ledger, round_, stragglers, max(longest)) for round_ in sorted(ledger.drawn)
    ]
    others = [
        plots.round_times(rounds),
        plots.metric_over_time(rounds, reading.metric_name(summary)),
        plots.keep_ratios(ledger, stragglers),
        plots.bytes_per_client(_totals(summary)),
    ]
    if not any((*gantts, *others)):
        return ""
    note = '<p class="quiet">▲ straggler · dashed: the new model is applied · hover for figures</p>'
    return (
        f'<h2>Where the time went</h2>{plots.phase_legend()}<div class="tall">{_cards(gantts)}'
        f'</div>{note}<h2>Over the run</h2><div class="plots">{_cards(others)}</div>'
    )


def _cards(figures: Sequence[str]) -> str:
    return "".join(f'<div class="card">{figure}</div>' for figure in figures if figure)


def _totals(summary: Summary) -> dict[int, tuple[int, int]]:
    devices = [d for d in items(summary, "devices") if isinstance(d, Mapping)]
    return {d["client"]: (d["bytes_up"], d["bytes_down"]) for d in devices}


def _rounds(summary: Summary, ledger: Ledger) -> str:
    columns = (
        "round",
        "time",
        "held up by",
        "kept at least",
        "came through",
        "metric",
        "up",
        "down",
    )
    rows = [
        (
            f"{row.round}{' (warm-up)' if row.warmup else ''}",
            words.seconds(row.round_s),
            words.joined(
                None if row.critical.client is None else f"client {row.critical.client}",
                row.critical.phase,
            )
            or words.DASH,
            words.figure(row.keep_ratio_min),
            f"{row.survivors} of {row.clients}",
            words.figure(row.metric),
            words.size(row.bytes_up),
            words.size(row.bytes_down),
        )
        for row in ledger.ordered()
    ]
    return _table("Rounds", columns, rows, (*columns[1:2], *columns[3:])) if rows else ""


def _devices(summary: Summary) -> str:
    columns = ("client", "device", "network", "busy", "waiting", "busy share", "wasted")
    rows = [
        (
            words.text(d["client"]),
            words.text(d["device"]),
            words.text(d["network"]),
            words.seconds(number(d, "busy_s")),
            words.seconds(number(d, "idle_s")),
            words.share(number(d, "busy_share"), 0),
            words.seconds(number(d, "wasted_s")),
        )
        for d in items(summary, "devices")
        if isinstance(d, Mapping)
    ]
    return _table("Devices", columns, rows, columns[3:]) if rows else ""


def _table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[str]
) -> str:
    kinds = [' class="n"' if name in numeric else "" for name in columns]
    head = "".join(f"<th{k}>{escape(c)}</th>" for k, c in zip(kinds, columns, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f"<td{k}>{escape(c)}</td>" for k, c in zip(kinds, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return (
        f'<h2>{escape(title)}</h2><div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
