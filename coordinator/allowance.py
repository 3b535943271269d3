"""How much telemetry one worker may send: something at first, and more with each round begun.

What is recorded of a worker then grows with the rounds of the run, however much it sends. Knows
sizes and names, nothing of what was measured.
"""

from collections import Counter
from collections.abc import Sequence

from protocol.fields import Malformed
from protocol.telemetry import Event, Span

PHASES = frozenset(
    {
        "join",
        "calibrate",
        "keys",
        "shares",
        "download",
        "fit",
        "mask",
        "upload",
        "consistency",
        "unmask",
    }
)
"""What workers measure."""
KINDS = frozenset(
    {
        "client_joined",
        "device_away",
        "device_back",
        "fidelity",
        "masks_expanded",
        "transfer_failed",
        "worker_gave_up",
    }
)
"""What workers report; all else is the coordinator's to say."""
ITEMS_AT_FIRST, ITEMS_A_ROUND = 1000, 50
"""A round takes ten; a device may come and go, and join anew, many times in one."""
BYTES_AT_FIRST, BYTES_A_ROUND = 2**20, 2**15
"""A round takes 2 kB."""
MOST_FAREWELLS = 10
"""A worker that is started anew says another."""


class Allowance:
    """Of one worker."""

    def __init__(self) -> None:
        self._items = 0
        self._bytes = 0
        self._farewells = 0

    def take(self, items: Sequence[Span | Event], size: int, round_: int) -> None:
        """A batch of that many bytes, sent when `round_` is the last that has begun. Raises
        Malformed, and takes nothing, if it says what is no worker's to say, speaks of rounds to
        come, or is too much."""
        kinds: Counter[str] = Counter()
        for item in items:
            name, known = (item.phase, PHASES) if isinstance(item, Span) else (item.kind, KINDS)
            if name not in known:
                raise Malformed("a span or event that is not a worker's to report")
            # One to come: a worker may have outlived the coordinator that played it.
            if item.round > round_ + 1:
                raise Malformed("of a round that has not begun")
            kinds[name] += 1
        count, farewells = self._items + len(items), self._farewells + kinds["fidelity"]
        if count > ITEMS_AT_FIRST + ITEMS_A_ROUND * round_ or farewells > MOST_FAREWELLS:
            raise Malformed("more spans and events than a worker has to tell")
        if self._bytes + size > BYTES_AT_FIRST + BYTES_A_ROUND * round_:
            raise Malformed("more bytes than a worker has to tell")
        self._items, self._bytes, self._farewells = count, self._bytes + size, farewells
