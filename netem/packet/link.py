"""One direction of a packet link as a plain value, and how it crosses to the process that plays
it. Knows no packet and no namespace.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from types import MappingProxyType
from typing import Any, Self

from netem.impairment import Variation
from netem.jitter import Jitter
from netem.link import FRAME_BYTES, LinkParameters
from netem.playback import AtEnd, Playback
from netem.replay import DelayTrace, OpportunityCapacity, SteppedCapacity, TraceCapacity
from profiles.trace import Opportunities, Steps

LEAST_QUEUE_BYTES = 30 * FRAME_BYTES
"""No link queues less than a few bursts of a sender."""
LEAST_QUEUE_S = 0.1
"""Nor less than so much of its rate: access links queue 100 ms and more (Gettys & Nichols,
"Bufferbloat", 2011)."""


class PacketLinkError(ValueError):
    """A link was asked for that cannot exist."""


@dataclass(frozen=True, slots=True)
class PacketLink:
    """`bytes_per_s` counts framing and is the mean of a `varying` rate; `delay_s` is one way and
    the mean of one with a `variation`. A packet is lost with probability `loss`, and arrives
    `reorder_s` later than its place with probability `reorder`.
    """

    bytes_per_s: float
    delay_s: float
    queue_bytes: float | None = None
    """What waits for the wire at most; by default the rate times the longer of a round trip and
    `LEAST_QUEUE_S`."""
    loss: float = 0.0
    reorder: float = 0.0
    reorder_s: float = 0.0
    variation: Variation | None = None
    varying: TraceCapacity | None = None

    def __post_init__(self) -> None:
        for key in ("bytes_per_s", "delay_s", "queue_bytes", "loss", "reorder", "reorder_s"):
            value = getattr(self, key)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise PacketLinkError(f"{key}: must be finite and not negative, not {value}")
        if self.bytes_per_s <= 0:
            raise PacketLinkError(f"bytes_per_s: must be positive, not {self.bytes_per_s}")
        if self.limit_bytes < FRAME_BYTES:
            raise PacketLinkError(
                f"queue_bytes: must hold a frame of {FRAME_BYTES}, not {self.queue_bytes}"
            )
        for key, probability in (("loss", self.loss), ("reorder", self.reorder)):
            if probability >= 1:
                raise PacketLinkError(f"{key}: must be below 1, not {probability}")

    @property
    def limit_bytes(self) -> float:
        if self.queue_bytes is not None:
            return self.queue_bytes
        wait_s = max(LEAST_QUEUE_S, 2 * self.delay_s)
        return max(float(LEAST_QUEUE_BYTES), self.bytes_per_s * wait_s)

    @classmethod
    def of(cls, link: LinkParameters) -> Self:
        """The same link, played packet by packet."""
        variation, varying = link.variation, link.varying
        if variation is not None and type(variation).__name__ not in _KINDS:
            raise PacketLinkError(f"{type(variation).__name__}: cannot be played in packets")
        if not isinstance(varying, SteppedCapacity | OpportunityCapacity | None):
            raise PacketLinkError(f"{type(varying).__name__}: cannot be played in packets")
        queue_bytes, loss = (link.tcp.queue_bytes, link.tcp.loss) if link.tcp else (None, 0.0)
        return cls(
            link.bytes_per_s,
            link.delay_s,
            queue_bytes,
            loss,
            variation=variation,
            varying=varying,
        )

    def to_mapping(self) -> dict[str, Any]:
        """As JSON has it."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        for key in ("variation", "varying"):
            if (value := plain[key]) is not None:
                inner = {f.name: getattr(value, f.name) for f in fields(value) if f.init}
                inner = {k: asdict(v) if k in _PARTS else v for k, v in inner.items()}
                plain[key] = {"kind": type(value).__name__} | inner
        return plain

    @classmethod
    def from_mapping(cls, plain: Mapping[str, Any]) -> Self:
        rebuilt = dict(plain)
        for key in ("variation", "varying"):
            if (found := plain[key]) is not None:
                inner = {k: _PARTS[k](v) if k in _PARTS else v for k, v in found.items()}
                rebuilt[key] = _KINDS[inner.pop("kind")](**inner)
        return cls(**rebuilt)


def _jitter(seed: list[int], **values: Any) -> Jitter:  # noqa: ANN401
    return Jitter(seed=tuple(seed), **values)


def _playback(values: dict[str, Any]) -> Playback:
    return Playback(**values | {"at_end": AtEnd(values["at_end"])})


def _steps(values: dict[str, Any]) -> Steps:
    return Steps(**values | {key: tuple(values[key]) for key in ("at_s", "values")})


def _opportunities(values: dict[str, Any]) -> Opportunities:
    return Opportunities(**values | {"at_ms": tuple(values["at_ms"])})


_KINDS: Mapping[str, Any] = MappingProxyType(
    {
        "Jitter": _jitter,
        "DelayTrace": DelayTrace,
        "SteppedCapacity": SteppedCapacity,
        "OpportunityCapacity": OpportunityCapacity,
    }
)
_PARTS: Mapping[str, Any] = MappingProxyType(
    {"playback": _playback, "steps": _steps, "opportunities": _opportunities}
)
