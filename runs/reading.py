"""What table and report both say about a summary, as plain sentences.

Knows the summary's layout; nothing of terminals or HTML.
"""

from collections.abc import Mapping

from protocol.telemetry import Json
from runs import words
from runs.values import flag, items, number, table, text, whole

Summary = Mapping[str, Json]


def headline(summary: Summary) -> str:
    aggregation = text(summary, "aggregation")
    adversary = text(table(summary, "secure_aggregation"), "adversary")
    if aggregation not in (None, "plain") and adversary:
        aggregation = f"{aggregation} ({adversary})"
    return words.joined(summary["fleet"], summary["task"], summary["strategy"], aggregation)


def setting(summary: Summary) -> str:
    clock, net, seed = summary["clock"], summary["net"], summary["seed"]
    scale = number(summary, "time_scale")
    return words.joined(
        f"{summary['clients']} clients",
        f"{summary['rounds']} rounds ({summary['warmup_rounds']} warm-up)",
        f"{clock} clock" if clock else None,
        f"{net} net" if net else None,
        f"time × {scale:g}" if scale not in (None, 1.0) else None,
        f"seed {seed}" if seed is not None else None,
        f"replay of {of}" if (of := summary.get("replay_of")) else None,
        *cautions(summary),
    )


def cautions(summary: Summary) -> tuple[str, ...]:
    """In what the run is not the real thing."""
    modelled = [part for part in ("crypto", "training") if summary.get(part) == "modelled"]
    said = [f"MODELLED {part.upper()}" for part in modelled]
    if summary.get("data") == "simulated":
        said.insert(0, "SIMULATED DATA")
    if summary.get("bodies") == "phantom":
        said.append("PHANTOM BODIES")
    if summary.get("tcp") == "rounds":
        said.append("TCP BY ROUNDS")
    seeded = str(summary.get("keys") or "").startswith("seeded")
    return (*said, "SEEDED KEYS: INSECURE") if seeded else tuple(said)


def stable(summary: Summary) -> bool | None:
    value = table(summary, "fidelity").get("stable")
    return value if isinstance(value, bool) else None


def round_time(summary: Summary) -> str:
    times = table(summary, "round_s")
    return (
        f"mean {words.seconds(number(times, 'mean'))}   p50 {words.seconds(number(times, 'p50'))}"
        f"   max {words.seconds(number(times, 'max'))}   over {summary['round_s_over']}"
    )


def speedup(summary: Summary) -> str:
    """With the bound beside it: pruning stragglers alone cannot cut more."""
    found = table(summary, "speedup")
    saved, bound = number(found, "saved"), number(found, "bound")
    if saved is None:
        return "not known: needs finished rounds both within and after the warm-up"
    before, after = number(found, "before_s"), number(found, "after_s")
    change = f"{abs(saved) * 100:.1f} % {'shorter' if saved >= 0 else 'longer'} rounds"
    limit = f"; pruning stragglers can save {words.share(bound)} at most" if bound else ""
    return f"{change} than warm-up ({words.seconds(before)} → {words.seconds(after)}){limit}"


def metric(summary: Summary) -> str:
    found = table(summary, "metric")
    points = [p for p in items(summary, "curve") if isinstance(p, Mapping)]
    values = [v for v in (number(p, "metric") for p in points) if v is not None]
    if not values:
        return "not measured"
    best = "lowest" if flag(found, "lower_is_better") else "best"
    return (
        f"{words.sparkline(values)}  {words.figure(values[0])} → {words.figure(values[-1])}"
        f"   {best} {words.figure(number(found, 'best'))}"
    )


def metric_name(summary: Summary) -> str:
    found = table(summary, "metric")
    return words.metric(text(found, "name") or "metric", text(found, "unit"))


def outside(summary: Summary) -> str:
    """What round times leave out."""
    totals = table(summary, "totals")
    parts = ("join_s", "joining"), ("calibrate_s", "calibrating"), ("evaluate_s", "evaluating")
    told = [
        f"{said} {words.seconds(number(totals, key))}"
        for key, said in parts
        if number(totals, key) is not None
    ]
    whole_s = words.seconds(number(totals, "run_s"))
    return words.joined(f"the whole run took {whole_s}", *told)


def target(summary: Summary) -> str | None:
    """None where the run had no target."""
    found = table(summary, "to_target")
    if not found:
        return None
    goal = words.figure(number(found, "metric"))
    if whole(found, "round") is None:
        return f"{goal} not reached"
    return (
        f"{goal} in round {found['round']}, after {words.seconds(number(found, 'time_s'))} of "
        f"rounds and {words.size(number(found, 'bytes'))}"
    )


def traffic(summary: Summary) -> str:
    found, rounds = table(summary, "bytes"), whole(summary, "rounds") or 0
    up, down = number(found, "up"), number(found, "down")
    per = ""
    if rounds and up is not None and down is not None:
        per = f"   a round {words.size(up / rounds)} up, {words.size(down / rounds)} down"
    return f"up {words.size(up)}   down {words.size(down)}{per}"


def sparsity(summary: Summary) -> str | None:
    """None where nothing was pruned for everybody."""
    found = table(summary, "sparsity")
    if not found:
        return None
    counts = table(found, "bytes")
    told = [
        f"{said} {words.size(number(table(counts, key), 'up'))} up, "
        f"{words.size(number(table(counts, key), 'down'))} down"
        for key, said in (("source_metric", "non-zeros"), ("real", "real"), ("dense", "dense"))
    ]
    return words.joined(
        f"{words.share(number(found, 'final'))} of {whole(found, 'parameters'):,} weights",
        f"last upload {words.share(number(found, 'last_upload'))} of dense",
        *told,
        f"compute: {summary.get('sparse_compute') or 'dense'}",
    )


def aggregation(summary: Summary) -> str:
    found = table(summary, "secure_aggregation")
    threshold, bits = number(found, "threshold"), whole(found, "ring_bits")
    neighbours = whole(found, "neighbours")
    phases = table(found, "dropped_phases")
    where = ", ".join(f"{phase} {count}" for phase, count in phases.items())
    return words.joined(
        text(found, "protocol"),
        f"threshold {threshold:g}" if threshold is not None else None,
        f"{neighbours} neighbours" if neighbours is not None else None,
        f"ring of {bits} bits" if bits is not None else None,
        f"{found['dropped']} dropped" + (f" ({where})" if where else ""),
        f"clipped {words.small_share(number(found, 'clipped_fraction'))}",
    )


def fidelity(summary: Summary) -> str:
    found = table(summary, "fidelity")
    late, rate = table(found, "lateness_ms"), table(found, "rate_error")
    jobs = whole(found, "late_jobs")
    overruns = "overruns –"
    if jobs is not None:
        overrun = words.seconds(number(found, "overrun_s"))
        overruns = f"{jobs} overruns, up to {overrun} a device" if jobs else "no overruns"
    rounds = table(found, "round_late")
    moved = " / ".join(words.small_share(number(rounds, key)) for key in ("p50", "max"))
    lateness = " / ".join(words.milliseconds(number(late, key)) for key in ("p50", "p99", "max"))
    error = " / ".join(words.small_share(number(rate, key)) for key in ("p50", "max"))
    return (
        f"rounds held up by at most {moved} (p50/max)   rate error {error} (p50/max)   "
        f"lateness {lateness} ms (p50/p99/max)   {overruns}"
    )


def verdict(summary: Summary) -> str:
    return {True: "STABLE", False: "UNSTABLE", None: "NOT MEASURED"}[stable(summary)]


def broken(summary: Summary) -> str:
    return "; ".join(str(rule) for rule in items(table(summary, "fidelity"), "broken"))


def event_log(summary: Summary) -> str | None:
    """What identifies a run under the virtual clock: the same configuration gives the same log."""
    digest = summary.get("events_sha256")
    return f"sha256 {digest}" if digest and summary["clock"] == "virtual" else None


STRAGGLER_COLUMNS = ("#", "device", "network", "slow in", "keep", "before", "after", "target")


NUMERIC_COLUMNS = ("keep", "before", "after", "target")


def straggler_rows(summary: Summary) -> list[tuple[str, ...]]:
    """One tuple a straggler, under STRAGGLER_COLUMNS, slowest first."""
    found = [s for s in items(summary, "stragglers") if isinstance(s, Mapping)]
    return [
        (
            words.text(s["client"]),
            words.text(s["device"]),
            words.text(s["network"]),
            f"{s['slow_phase']} +{words.seconds(_excess(s))}",
            words.figure(number(s, "keep_ratio"), 2),
            words.seconds(number(s, "before_s")),
            words.seconds(number(s, "after_s")),
            words.seconds(number(s, "target_s")),
        )
        for s in found
    ]


def _excess(straggler: Mapping[str, object]) -> float | None:
    return number(table(straggler, "phase_excess_s"), text(straggler, "slow_phase") or "")


def phase_shares(summary: Summary) -> list[tuple[str, float, float]]:
    """(phase, mean seconds, share of the whole), in order, phases of no length left out."""
    phases = table(summary, "phase_s")
    known = [(name, number(phases, name) or 0.0) for name in phases]
    whole_s = sum(value for _, value in known)
    return [(name, value, value / whole_s) for name, value in known if value > 0]
