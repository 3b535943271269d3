"""Who shares secrets and masks with whom. Pure structure: no keys, no phases.

The machines ask a `Graph` and nothing else, so that another graph is another class. Who masks with
whom is mutual; who holds whose shares need not be, where clients choose their holders.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

from protocol.errors import LocalError


class Graph(Protocol):
    """Neighbours are symmetric: a is b's exactly if b is a's. Holders and owners mirror each other:
    a is among b's holders exactly if b is among a's owners."""

    @property
    def clients(self) -> tuple[int, ...]:
        """All participants, ascending."""
        ...

    def neighbours(self, client: int) -> tuple[int, ...]:
        """Whom `client` masks with, ascending, itself excluded."""
        ...

    def holders(self, client: int) -> tuple[int, ...]:
        """Who holds shares of `client`'s secrets, ascending: a threshold counts these."""
        ...

    def owners(self, client: int) -> tuple[int, ...]:
        """Whose secrets `client` holds shares of, ascending."""
        ...

    @property
    def fewest_holders(self) -> int:
        """Of any one client's secrets, with everybody there."""
        ...


class CompleteGraph:
    """Everyone with everyone (Bonawitz et al.); a client keeps a share of its own secrets."""

    def __init__(self, clients: Sequence[int]) -> None:
        self._clients = ascending(clients)

    @property
    def clients(self) -> tuple[int, ...]:
        return self._clients

    def neighbours(self, client: int) -> tuple[int, ...]:
        return tuple(other for other in self._clients if other != client)

    def holders(self, client: int) -> tuple[int, ...]:
        return self._clients

    def owners(self, client: int) -> tuple[int, ...]:
        return self._clients

    @property
    def fewest_holders(self) -> int:
        return len(self._clients)


def ascending(clients: Sequence[int]) -> tuple[int, ...]:
    """The participants, checked: ascending, each once, at least two."""
    if len(clients) < 2:
        raise LocalError("a secure sum needs at least two participants")
    if any(left >= right for left, right in pairwise(clients)):
        raise LocalError("participants must ascend, each once")
    if clients[0] < 0 or clients[-1] >= 2**32:
        raise LocalError("participants' ids must fit 32 bits")
    return tuple(clients)
