"""Bodies of which only the length exists: for runs in which nothing of their content is computed.

A phantom crosses a connection between the head of an HTTP message and a short real body, takes the
place and the time of so many bytes there, and is dropped at the far end: HTTP never sees it. Only
connections in memory carry phantoms, so that no run over real ones can send any.
"""

from protocol.errors import LocalError

LENGTH_HEADER = "Phantom-Length"
"""How many bytes of the body are a phantom; `Content-Length` counts the others."""
TAIL_BYTES = 16
"""The real part of a download: it tells that what went before has arrived."""


def send(transport: object, size: int) -> None:
    """Raises LocalError on a connection that carries real bytes only."""
    write = getattr(transport, "write_phantom", None)
    if write is None:
        raise LocalError("a body without content needs a connection in memory")
    write(size)


def received_bytes(transport: object) -> int:
    """How much of phantoms has arrived on a connection so far."""
    received: int = getattr(transport, "phantom_bytes", 0)
    return received
