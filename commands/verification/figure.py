"""A figure of verify: what was asked, what was delivered, and whether it was measured again."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pair:
    """Asked against delivered, of one thing of one link."""

    what: str
    asked: float
    delivered: float | None
    tried: tuple[float | None, ...] = ()
    """All that was measured, in order; `delivered` is one of these."""

    @property
    def repeated(self) -> bool:
        return len(self.tried) > 1

    @property
    def error(self) -> float | None:
        """Relative."""
        if self.delivered is None or not self.asked:
            return None
        return self.delivered / self.asked - 1
