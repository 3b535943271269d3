"""Drawing clients anew for each round, around any strategy's choice of who takes part.

Who is drawn depends on seed, round and client alone, so that all strategies of a comparison get
the same clients as far as they want them. Knows nothing of times or updates.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from learning.structure import Vector
from strategies.interface import Cutoff, ServerHalf
from strategies.state import State

_LABEL = "straggler-testbed/v1/draw"


@dataclass(frozen=True, slots=True)
class Draw:
    """`clients`: how many take part at most, None: all; `availability`: with which probability a
    client can be had in a round."""

    seed: int
    clients: int | None = None
    availability: float = 1.0

    @property
    def everybody(self) -> bool:
        return self.clients is None and self.availability >= 1

    def there(self, round_: int, client: int) -> bool:
        return self._uniform("there", round_, client) < self.availability

    def lot(self, round_: int, client: int) -> float:
        """The smallest lots of a round are drawn."""
        return self._uniform("lot", round_, client)

    def _uniform(self, what: str, round_: int, client: int) -> float:
        """In [0, 1), the same on every machine."""
        label = f"{_LABEL}/{what}/{self.seed}/{round_}/{client}".encode()
        word = int.from_bytes(hashlib.blake2b(label, digest_size=8).digest(), "big")
        return (word >> 11) / 2**53


class Drawn:
    """A server half whose choice is narrowed to those who are there, and to the number drawn."""

    def __init__(self, inner: ServerHalf, draw: Draw) -> None:
        self._inner = inner
        self._draw = draw
        self._share = 1.0
        """Of those whom the strategy wanted, who were drawn last."""

    def participants(
        self, round_: int, joined: Sequence[int], arrivals: Mapping[int, float]
    ) -> Sequence[int]:
        """The strategy chooses first, so that as many are drawn whomever it leaves out."""
        wanted = self._inner.participants(round_, joined, arrivals)
        chosen = self._chosen(round_, wanted)
        self._share = len(chosen) / len(wanted) if wanted else 1.0
        return chosen

    def _chosen(self, round_: int, wanted: Sequence[int]) -> Sequence[int]:
        draw = self._draw
        there = [client for client in wanted if draw.there(round_, client)]
        if draw.clients is None or len(there) <= draw.clients:
            return there
        by_lot = sorted(there, key=lambda client: (draw.lot(round_, client), client))
        return sorted(by_lot[: draw.clients])

    def left_out(self) -> Mapping[int, str]:
        """By the strategy; not being drawn is nobody's fault and is not told."""
        return self._inner.left_out()

    def cutoff(self, round_: int) -> Cutoff | None:
        """The strategy's, for as many fewer as were drawn."""
        found = self._inner.cutoff(round_)
        if found is None:
            return None
        return replace(found, at_least=math.ceil(found.at_least * self._share - 1e-9))

    def instruction(self, client: int) -> bytes:
        return self._inner.instruction(client)

    def see(self, client: int, model: Vector, update: Vector) -> None:
        self._inner.see(client, model, update)

    def state(self) -> State:
        return self._inner.state()

    def restore(self, state: State) -> None:
        self._inner.restore(state)


def drawn(inner: ServerHalf, draw: Draw) -> ServerHalf:
    """`inner` itself where everybody can always be had."""
    return inner if draw.everybody else Drawn(inner, draw)
