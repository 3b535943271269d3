"""What all TCP connections over one direction of a device have in common."""

from dataclasses import dataclass
from typing import Self

from netem.link import FRAME_BYTES, FRAMING_BYTES, LinkParameters
from netem.loss import Loss, RandomLoss
from netem.tcp.bottleneck import Bottleneck
from netem.tcp.parameters import TcpParameters

_GRAIN_S = 0.0045
"""What may go as one takes no longer on the wire: less than a link commits at once."""


@dataclass(frozen=True, slots=True)
class TcpPath:
    """`return_s`: what an acknowledgement takes back; `rtt_s`: what a handshake takes. The way
    back is taken to be free: acknowledgements wait behind nothing and none is lost."""

    parameters: TcpParameters
    bottleneck: Bottleneck
    loss: Loss
    return_s: float
    rtt_s: float
    grain: int
    """So many segments at most are handled as one: a single one where segments get lost by
    themselves, and where the rate changes."""

    @classmethod
    def of(cls, there: LinkParameters, back: LinkParameters, quantum_bytes: float) -> Self | None:
        """None where senders are paced by the rate alone. `quantum_bytes`: what goes on the wire
        at once."""
        if there.tcp is None:
            return None
        return_s = back.delay_s + FRAMING_BYTES / back.bytes_per_s
        rtt_s = there.delay_s + FRAMING_BYTES / there.bytes_per_s + return_s
        bottleneck = Bottleneck(there.tcp.queue_bytes)
        loss = RandomLoss(there.tcp.loss, there.tcp.seed)
        grain_bytes = min(quantum_bytes, there.bytes_per_s * _GRAIN_S * there.tcp.second_s)
        alone = there.tcp.loss or there.varying is not None
        grain = 1 if alone else max(1, int(grain_bytes // FRAME_BYTES))
        return cls(there.tcp, bottleneck, loss, return_s, rtt_s, grain)
