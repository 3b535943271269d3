"""What a finished round amounts to, for the record. Knows no messages and no waiting."""

from collections.abc import Mapping
from dataclasses import dataclass

from coordinator.model import Applied
from protocol.telemetry import Json


@dataclass(frozen=True, slots=True)
class RoundResult:
    round: int
    attempt: int
    participants: tuple[int, ...]
    survivors: tuple[int, ...]
    lost: Mapping[int, str]
    """Phase in which each lost client was lost."""
    arrivals_s: Mapping[int, float]
    """Seconds from the plan to the whole upload."""
    applied: Applied
    aggregation: str

    def to_notes(self) -> dict[str, Json]:
        return {
            "attempt": self.attempt,
            "participants": list(self.participants),
            "survivors": list(self.survivors),
            "lost": {str(client): phase for client, phase in self.lost.items()},
            "clipped_fraction": self.applied.clipped_fraction,
            "aggregation": self.aggregation,
            **self.applied.notes,
        }
