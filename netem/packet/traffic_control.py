"""Links that the kernel plays: veth pairs, shaped by its own tbf and, where it has it, netem.

The delay comes first (netem), then the rate with its queue (tbf): TCP sees the same. The kernel
does not say how exact it was, so that nothing is known of it here either.
"""

import math
import os
import select
import shutil
import subprocess
import time
from typing import Any

from netem.jitter import Jitter
from netem.packet.addresses import HUB, device_address
from netem.packet.errors import LinksUnavailable
from netem.packet.holder import Answering
from netem.packet.link import PacketLink
from netem.packet.namespaces import Namespace
from netem.packet.netlink import connect, make_veth
from netem.replay import DelayTrace

TC = "tc"
_FRAME_BYTES = 1514
_BURST_FRAMES, _BURST_S = 4, 0.001
"""What tbf lets go at once: little, or the start of a transfer would be too fast."""
_DELAYED_PACKETS = 1000
"""netem's own default, to which is added what the link holds."""


class KernelLinks:
    """See `netem.packet.holder.Links`. With `rates_only` what a kernel without netem lacks is left
    out; without it a link that needs it is refused."""

    def __init__(self, hub: Namespace, rates_only: bool) -> None:
        if shutil.which(TC) is None:
            raise LinksUnavailable(f"{TC}: not found: it comes with iproute2")
        hub.enter()
        self.gauge = os.open("/proc/thread-self/net/dev", os.O_RDONLY | os.O_CLOEXEC)
        self.lacks: str | None = None
        self._rates_only = rates_only
        self._netem = has_netem()

    def connect(self, device: int, ends: tuple[Namespace, Namespace], pair: dict[str, Any]) -> None:
        inside, hub = ends
        name, address = f"device{device}", device_address(device)
        up, down = (PacketLink.from_mapping(pair[way]) for way in ("up", "down"))
        hub.enter()
        make_veth(name, "uplink", inside.descriptor)
        connect(name, HUB, address)
        self._shape(name, down)
        inside.enter()
        connect("uplink", address, HUB)
        self._shape("uplink", up)

    def _shape(self, name: str, link: PacketLink) -> None:
        if link.varying is not None or isinstance(link.variation, DelayTrace):
            raise LinksUnavailable("tc follows no trace: packet links do")
        if link.reorder:
            raise LinksUnavailable("netem reorders by sending early: packet links hold back")
        if isinstance(link.variation, Jitter) and link.variation.distribution == "gamma":
            raise LinksUnavailable("netem knows no gamma distribution: packet links do")
        if not self._netem and not self._rates_only and needs_netem(link):
            raise LinksUnavailable(
                "this kernel has no netem: it gives rates, but no delay, jitter or loss"
                " (rates_only=true, or --rates-only, leaves them out; packet links have them)"
            )
        if not self._netem and needs_netem(link):
            self.lacks = "rates alone: this kernel has no netem for delay, jitter and loss"
        for words in commands(name, link, self._netem and needs_netem(link)):
            done = subprocess.run([TC, *words], capture_output=True, text=True, check=False)
            if done.returncode:
                said = " ".join((done.stderr or done.stdout).split())
                raise LinksUnavailable(f"{TC} {' '.join(words)}: {said}")

    def restart(self, device: int) -> None:
        """The kernel keeps no record of its lateness."""

    def fidelity(self, device: int) -> dict[str, Any]:
        return {}

    def begin(self) -> float:
        return time.monotonic()

    def play(self, control: int, answer: Answering) -> None:
        while select.select([control], [], []) and answer():
            pass


def needs_netem(link: PacketLink) -> bool:
    return any((link.delay_s, link.variation, link.loss))


def commands(name: str, link: PacketLink, netem: bool) -> list[list[str]]:
    """What tc is told about one direction, which the device of this name sends."""
    place = ["root"]
    told = []
    if netem:
        told.append(["qdisc", "add", "dev", name, "root", "handle", "1:", *_netem_words(link)])
        place = ["parent", "1:1", "handle", "10:"]
    burst = max(_BURST_FRAMES * _FRAME_BYTES, math.ceil(link.bytes_per_s * _BURST_S))
    rate = ["tbf", "rate", f"{round(link.bytes_per_s * 8)}bit", "burst", f"{burst}b"]
    told.append(["qdisc", "add", "dev", name, *place, *rate, "limit", f"{link.limit_bytes:.0f}b"])
    return told


def _netem_words(link: PacketLink) -> list[str]:
    held = link.limit_bytes + link.bytes_per_s * link.delay_s
    words = ["netem", "limit", str(_DELAYED_PACKETS + math.ceil(held / 100))]
    words += ["delay", f"{link.delay_s * 1e6:.0f}us"]
    if isinstance(link.variation, Jitter):
        words += [f"{link.variation.spread_s * 1e6:.0f}us"]
        words += ["distribution", link.variation.distribution]
    if link.loss:
        words += ["loss", f"{link.loss:.6%}"]
    return words


def has_netem() -> bool:
    """Whether this kernel lets a device of the namespace entered last have netem."""
    trial = ["qdisc", "add", "dev", "lo", "root", "netem", "delay", "1us"]
    if subprocess.run([TC, *trial], capture_output=True, check=False).returncode:
        return False
    subprocess.run([TC, "qdisc", "del", "dev", "lo", "root"], capture_output=True, check=True)
    return True
