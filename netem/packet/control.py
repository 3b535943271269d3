"""How the testbed and the process that holds its links talk: lines of JSON, with descriptors.

One question at a time, each with one answer. Knows neither what is asked nor who asks.
"""

import json
import socket
from collections.abc import Sequence
from typing import Any

from netem.packet.errors import LinksLost

_CHUNK_BYTES = 65536
_MOST_DESCRIPTORS = 32


class Control:
    """One end of the line."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._rest = b""

    def fileno(self) -> int:
        return self._line.fileno()

    def send(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Raises LinksLost if nobody is there any more."""
        data = json.dumps(message).encode() + b"\n"
        try:
            sent = socket.send_fds(self._line, [data], list(descriptors))
            if sent < len(data):  # not at all otherwise: who has read it may be gone
                self._line.sendall(data[sent:])
        except OSError as error:
            raise LinksLost(_GONE) from error

    def receive(self) -> tuple[dict[str, Any], list[int]]:
        """The next message and what came with it; raises LinksLost at the end of the line."""
        data, descriptors = self._rest, []
        while b"\n" not in data:
            try:
                more, came, _, _ = socket.recv_fds(self._line, _CHUNK_BYTES, _MOST_DESCRIPTORS)
            except OSError as error:
                raise LinksLost(_GONE) from error
            if not more:
                raise LinksLost(_GONE)
            data += more
            descriptors += came
        line, self._rest = data.split(b"\n", 1)
        message: dict[str, Any] = json.loads(line)
        return message, descriptors

    def close(self) -> None:
        self._line.close()


_GONE = "the process that plays the links is gone"
