"""How busy the machine's cores were while something was measured, how much of them the hypervisor
took (proc(5), stat), and whether this process was ever stopped: a message that took ten seconds
while all stood still for ten seconds says nothing of its link."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cores:
    """Ticks of all cores since the machine began."""

    busy: int
    stolen: int
    everything: int

    @classmethod
    def now(cls) -> "Cores":
        words = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
        user, nice, system, idle, waiting, interrupts, soft, stolen = map(int, words)
        busy = user + nice + system + interrupts + soft
        return cls(busy, stolen, busy + idle + waiting + stolen)

    def since(self) -> str:
        """From then until now."""
        now = Cores.now()
        ticks = max(1, now.everything - self.everything)
        busy, stolen = (now.busy - self.busy) / ticks, (now.stolen - self.stolen) / ticks
        return f"(cores busy {busy:.0%}, stolen {stolen:.1%})"


@dataclass(slots=True)
class Pulse:
    """How long the event loop has stood still at most."""

    longest_s: float = field(default=0.0)


_BEAT_S = 0.25
"""Seldom enough to keep no processor awake."""


@asynccontextmanager
async def pulse() -> AsyncIterator[Pulse]:
    found = Pulse()
    beating = asyncio.create_task(_beat(found))
    try:
        yield found
    finally:
        beating.cancel()


async def _beat(found: Pulse) -> None:
    loop = asyncio.get_running_loop()
    while True:
        begin_s = loop.time()
        await asyncio.sleep(_BEAT_S)
        found.longest_s = max(found.longest_s, loop.time() - begin_s - _BEAT_S)
