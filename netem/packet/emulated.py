"""Links that this process plays itself: a pair of TUN devices for each device of the fleet."""

import os
import time
from random import Random
from typing import Any

from netem.fidelity import FidelityMeter
from netem.packet.addresses import HUB, device_address
from netem.packet.emulator import Direction, Emulator, Ends
from netem.packet.gauges import Gauges, late_word, shared_memory, up_word
from netem.packet.holder import Answering
from netem.packet.link import PacketLink
from netem.packet.namespaces import Namespace
from netem.packet.queue import PacketQueue
from netem.packet.tun import open_tun
from netem.packet.waiting import measured_wake_up_s


class EmulatedLinks:
    """See `netem.packet.holder.Links`."""

    def __init__(self, devices: int, seed: int) -> None:
        self.gauge = shared_memory(devices)
        self.lacks: str | None = None
        self._seed = seed
        self._emulator = Emulator(Gauges(os.dup(self.gauge), devices), measured_wake_up_s())
        self._meters = [FidelityMeter() for _ in range(devices)]
        self._queues: list[PacketQueue] = []

    def connect(self, device: int, ends: tuple[Namespace, Namespace], pair: dict[str, Any]) -> None:
        inside, hub = ends
        address = device_address(device)
        hub.enter()
        inner = open_tun(f"device{device}", HUB, address)
        inside.enter()
        outer = open_tun("uplink", address, HUB)
        meter, word, late = self._meters[device], up_word(device), late_word(device)
        for way, (source, sink) in {"up": (outer, inner), "down": (inner, outer)}.items():
            link = PacketLink.from_mapping(pair[way])
            chance = Random(f"{self._seed}/{device}/{way}")
            queue = PacketQueue(link, chance)
            self._queues.append(queue)
            self._emulator.add(Direction(Ends(source, sink), queue, meter, (word, late)))
            word += 1

    def restart(self, device: int) -> None:
        self._meters[device].restart()

    def fidelity(self, device: int) -> dict[str, Any]:
        return self._meters[device].links_to_mapping()

    def begin(self) -> float:
        """Traces begin here, however long it took to set all of it up."""
        begin_s = time.monotonic()
        for queue in self._queues:
            queue.begin_s = begin_s
        return begin_s

    def play(self, control: int, answer: Answering) -> None:
        self._emulator.watch(control, answer)
        self._emulator.run()
