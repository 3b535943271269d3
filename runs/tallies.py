"""What is kept of a client's rows that a large run cannot keep: sums. Pure; knows no round."""

from dataclasses import dataclass, field

from runs.rows import ClientRow


@dataclass(slots=True)
class Sum:
    total: float = 0.0
    count: int = 0

    def add(self, value: float | None) -> None:
        if value is not None:
            self.total += value
            self.count += 1


@dataclass(slots=True)
class Tally:
    """Of rounds after warm-up."""

    device: str | None = None
    network: str | None = None
    busy_s: float = 0.0
    wasted_s: float = 0.0
    """Busy in rounds that ended without this client."""
    idle_s: Sum = field(default_factory=Sum)
    bytes_up: int = 0
    bytes_down: int = 0
    keep_ratio: Sum = field(default_factory=Sum)
    own_s: Sum = field(default_factory=Sum)
    declared_rounds: int = 0

    def add(self, row: ClientRow) -> None:
        self.device, self.network = row.device, row.network
        self.busy_s += row.busy_s
        if not row.survived:
            self.wasted_s += row.busy_s
        self.idle_s.add(row.idle_s)
        self.bytes_up += row.bytes_up
        self.bytes_down += row.bytes_down
        self.keep_ratio.add(row.keep_ratio)
        self.own_s.add(row.own_s)
        self.declared_rounds += row.straggler_declared is True
