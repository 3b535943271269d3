"""What a member of a fleet is to go through by its profiles and traces, said as a recorded trace
says it: in the run's own time, from when its device is made to the run's end."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from netem.playback import AtEnd, Integral, Playback
from netem.presence import Presence
from netem.replay import OpportunityCapacity
from profiles import Member, PlayedTrace
from profiles.trace import Intervals, Opportunities, Rate, Steps

Scaling = Sequence[tuple[float, float]]
"""(from when on, by which factor), in order, the first at 0."""

_BUCKET_S = 0.1
"""Opportunities that carry more or less than a packet each are told as a rate over so long."""


@dataclass(frozen=True, slots=True)
class Planned:
    """Every part of a trace; what does not change is one step."""

    up: Rate
    down: Rate
    up_delay_s: Steps
    down_delay_s: Steps
    pace: Steps
    available: Intervals


def planned(member: Member, end_s: float) -> Planned:
    network, trace = member.network, member.trace or PlayedTrace(0.0, "loop", 1.0)

    def steps(part: Steps | None, otherwise: float) -> Steps:
        return unrolled(part, trace, end_s) if part else Steps.constant(otherwise, end_s)

    def rate(part: Rate | None, otherwise: float) -> Rate:
        if isinstance(part, Opportunities):
            return _opportunities(part, trace, end_s)
        return scaled(steps(part, otherwise), [(0.0, trace.scale if part else 1.0)])

    return Planned(
        rate(trace.up, network.up_bytes_per_s),
        rate(trace.down, network.down_bytes_per_s),
        steps(trace.up_delay_s, network.rtt_s / 2),
        steps(trace.down_delay_s, network.rtt_s / 2),
        steps(trace.pace, 1.0),
        _intervals(trace, end_s),
    )


def unrolled(steps: Steps, trace: PlayedTrace, end_s: float) -> Steps:
    """As it is played: from its offset on, over and over if it loops."""
    playback = Playback(0.0, trace.offset_s, AtEnd(trace.at_end))
    integral = Integral(steps, playback)
    laps = int((trace.offset_s + end_s) // steps.end_s) if trace.at_end == "loop" else 0
    edges = [lap * steps.end_s + at_s for lap in range(laps + 1) for at_s in steps.at_s]
    edges.append(steps.end_s)
    starts = [0.0, *sorted({e - trace.offset_s for e in edges if 0 < e - trace.offset_s < end_s})]
    middles = [(a + b) / 2 for a, b in zip(starts, [*starts[1:], end_s], strict=True)]
    return _merged(starts, [integral.value(middle_s) for middle_s in middles], end_s)


def scaled(steps: Steps, factors: Scaling) -> Steps:
    """Each value times the factor of its time. Where every factor is 1 nothing changes at all."""
    if all(factor == 1.0 for _, factor in factors):
        return steps
    since = [at_s for at_s, _ in factors]
    starts = sorted({*steps.at_s, *(at_s for at_s in since if at_s < steps.end_s)})

    def value(at_s: float) -> float:
        held = steps.values[bisect_right(steps.at_s, at_s) - 1]
        return held * factors[bisect_right(since, at_s) - 1][1]

    return _merged(starts, [value(at_s) for at_s in starts], steps.end_s)


def _merged(starts: Sequence[float], values: Sequence[float], end_s: float) -> Steps:
    """Without steps that change nothing."""
    kept = [i for i in range(len(starts)) if i == 0 or values[i] != values[i - 1]]
    return Steps(tuple(starts[i] for i in kept), tuple(values[i] for i in kept), end_s)


def _opportunities(part: Opportunities, trace: PlayedTrace, end_s: float) -> Rate:
    playback = Playback(0.0, trace.offset_s, AtEnd(trace.at_end))
    capacity = OpportunityCapacity(part, playback, trace.scale)
    first, last = capacity.passed(0.0), capacity.passed(end_s)
    if trace.scale == 1.0 and last > first:
        instants = (capacity.instant_s(index) for index in range(first, last))
        at_ms = tuple(max(0, round(at_s * 1000)) for at_s in instants)
        return Opportunities(tuple(at for at in at_ms if at <= end_s * 1000) or (0,), end_s)
    count = max(1, int(end_s / _BUCKET_S))
    starts = [index * end_s / count for index in range(count)]
    ends = [*starts[1:], end_s]
    carried = [capacity.carried_bytes(a, b) for a, b in zip(starts, ends, strict=True)]
    return _merged(starts, [amount * count / end_s for amount in carried], end_s)


def _intervals(trace: PlayedTrace, end_s: float) -> Intervals:
    if trace.available is None:
        return Intervals(((0.0, end_s),), end_s)
    presence = Presence(trace.available, Playback(0.0, trace.offset_s, AtEnd(trace.at_end)))
    spans: list[tuple[float, float]] = []
    at_s = 0.0
    while at_s < end_s:
        there, until_s = presence.until_s(at_s)
        until_s = min(until_s, end_s)
        if there and until_s > at_s:
            spans.append((at_s, until_s))
        at_s = until_s + 1e-9
    return Intervals(tuple(spans), end_s)
