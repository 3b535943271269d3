"""What all TCP connections over one direction of a device have in common."""

from dataclasses import dataclass
from typing import Self

from netem.link import FRAMING_BYTES, LinkParameters
from netem.loss import Loss, RandomLoss
from netem.tcp.bottleneck import Bottleneck
from netem.tcp.parameters import TcpParameters


@dataclass(frozen=True, slots=True)
class TcpPath:
    """`return_s`: what an acknowledgement takes back; `rtt_s`: what a handshake takes. The way
    back is taken to be free: acknowledgements wait behind nothing and none is lost."""

    parameters: TcpParameters
    bottleneck: Bottleneck
    loss: Loss
    return_s: float
    rtt_s: float

    @classmethod
    def of(cls, there: LinkParameters, back: LinkParameters) -> Self | None:
        """None where senders are paced by the rate alone."""
        if there.tcp is None:
            return None
        return_s = back.delay_s + FRAMING_BYTES / back.bytes_per_s
        rtt_s = there.delay_s + FRAMING_BYTES / there.bytes_per_s + return_s
        bottleneck = Bottleneck(there.tcp.queue_bytes)
        loss = RandomLoss(there.tcp.loss, there.tcp.seed)
        return cls(there.tcp, bottleneck, loss, return_s, rtt_s)
