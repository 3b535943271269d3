"""What a member's traces make of its links, its pace and its presence, on a clock.

A trace begins when its device is made: `clock` = (that instant of the timer, the time scale).
"""

from dataclasses import replace

from netem.device import LinkPair
from netem.link import LinkParameters
from netem.pace import FullSpeed, Speed
from netem.playback import AtEnd, Integral, Playback
from netem.presence import Presence
from netem.replay import DelayTrace, follow
from profiles import NetworkTransport, PlayedTrace
from profiles.trace import Rate, Steps


def traced_pair(
    pair: LinkPair, trace: PlayedTrace, transport: NetworkTransport, epoch_s: float
) -> LinkPair:
    """The links with the rates and delays of the trace, as far as it says them; in emulated
    seconds from `epoch_s` on."""

    def traced(link: LinkParameters, rate: Rate | None, delay: Steps | None) -> LinkParameters:
        if delay is not None:
            # In place of the network's own jitter; a delay counts from the link's beginning.
            wander = DelayTrace(delay, _playback(trace, 0.0))
            link = replace(link, delay_s=wander.mean_s, variation=wander)
        if rate is None:
            return link
        capacity = follow(rate, _playback(trace, epoch_s), trace.scale)
        tcp = link.tcp
        if tcp is not None:
            tcp = replace(tcp, queue_bytes=transport.queue_at(capacity.bytes_per_s))
        return replace(link, bytes_per_s=capacity.bytes_per_s, varying=capacity, tcp=tcp)

    return LinkPair(
        traced(pair.up, trace.up, trace.up_delay_s),
        traced(pair.down, trace.down, trace.down_delay_s),
    )


def speed_of(trace: PlayedTrace | None, clock: tuple[float, float]) -> Speed:
    epoch_s, time_scale = clock
    if trace is None or trace.pace is None:
        return FullSpeed(time_scale)
    return Integral(trace.pace, _playback(trace, epoch_s).scaled(time_scale))


def presence_of(trace: PlayedTrace | None, clock: tuple[float, float]) -> Presence | None:
    epoch_s, time_scale = clock
    if trace is None or trace.available is None:
        return None
    return Presence(trace.available, _playback(trace, epoch_s).scaled(time_scale))


def _playback(trace: PlayedTrace, epoch_s: float) -> Playback:
    return Playback(epoch_s, trace.offset_s, AtEnd(trace.at_end))
