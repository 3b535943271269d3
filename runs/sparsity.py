"""What sparse training saves on the wire, in three counts: FedSparsify's own, the real, the dense.

Its own (arXiv 2208.11669) is 32 bits for each value that is not zero, both ways, without what tells
which they are. The real bytes are those that passed the links, framing, masks, keys and patterns
counted. Dense is 32 bits for every parameter, both ways. Pure, from the rows of rounds.
"""

from collections.abc import Callable, Sequence

from protocol.telemetry import Json
from runs.rows import RoundRow

_VALUE_BYTES = 4


def describe_sparsity(rounds: Sequence[RoundRow]) -> Json:
    """Null where nothing was pruned for everybody."""
    sparse = [row for row in rounds if row.parameters is not None]
    if not sparse:
        return None
    last = sparse[-1]
    return {
        "parameters": last.parameters,
        "final": last.sparsity,
        "last_upload": _upload_share(last),
        "bytes": {
            "source_metric": _both(sparse, lambda row: row.values_up, lambda row: row.surviving),
            "real": {
                "up": sum(row.bytes_up for row in sparse),
                "down": sum(row.bytes_down for row in sparse),
            },
            "dense": _both(
                sparse, lambda row: _times(row.parameters, row.survivors), lambda r: r.parameters
            ),
        },
    }


def _upload_share(row: RoundRow) -> float | None:
    """Real bytes that a client of the round sent, over a dense upload."""
    if not row.parameters or not row.clients:
        return None
    return row.bytes_up / (row.clients * _VALUE_BYTES * row.parameters)


Count = Callable[[RoundRow], int | None]


def _both(rounds: Sequence[RoundRow], up: Count, down: Count) -> Json:
    """`up`: values that all clients sent together; `down`: that each was sent."""
    return {
        "up": _VALUE_BYTES * sum(up(row) or 0 for row in rounds),
        "down": _VALUE_BYTES * sum((down(row) or 0) * row.clients for row in rounds),
    }


def _times(count: int | None, by: int) -> int | None:
    return None if count is None else count * by
