"""How busy the machine's cores were while something was measured, and how much of them the
hypervisor took (proc(5), stat)."""

from dataclasses import dataclass
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
