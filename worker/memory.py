"""Where a client's private state outlives its process: a seam, so that it stays with the client.

The coordinator has no part in it.
"""

from typing import Protocol

from strategies.state import State


class Memory(Protocol):
    def recall(self) -> State | None:
        """What was kept before a restart; None if nothing was."""
        ...

    def keep(self, round_: int, state: State) -> None:
        """As of the end of this client's part in a round."""
        ...


class Forgetful:
    """Of a worker that begins anew after a restart."""

    def recall(self) -> State | None:
        return None

    def keep(self, round_: int, state: State) -> None:
        """Nothing is kept."""
