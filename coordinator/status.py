"""What the coordinator is doing right now, for whoever draws it: round, phase, who is awaited."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Transfer:
    done_bytes: int
    total_bytes: int


@dataclass(slots=True)
class Status:
    """Written by the coordinator, read by a live view at any time."""

    rounds: int
    round: int = 0
    phase: str = "waiting for workers"
    joined: int = 0
    awaited: set[int] = field(default_factory=set)
    """Clients whose answer is still out in this phase."""
    downloads: dict[int, Transfer] = field(default_factory=dict)
    uploads: dict[int, Transfer] = field(default_factory=dict)
    last_metric: float | None = None

    def enter(self, phase: str, awaited: set[int]) -> None:
        self.phase = phase
        self.awaited = awaited
