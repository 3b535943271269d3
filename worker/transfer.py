"""Bulk transfers: the model down, the masked vector up, both streamed.

An upload is the vector's words and then their checksum, so that a half-arrived or altered one is
known as such before it touches a sum.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass

import aiohttp
import numpy as np
from numpy.typing import NDArray

from protocol import pattern
from protocol.checksum import UploadChecksum
from protocol.pattern import PatternName
from protocol.sizes import CHECKSUM_BYTES
from wire.inflow import Inflow

PIECE_BYTES = 2**18
READ_BYTES = 2**18
"""What asyncio reads at a time: with a smaller buffer aiohttp would stop and go at each."""


class TransferFailed(Exception):
    """The coordinator refused a transfer or it broke off: this round goes on without us."""


class Transfers:
    """This worker's bulk transfers with the coordinator. `session` goes through its link."""

    hollow = False
    """Whether bodies have a length only, so that nobody need make their content."""

    def __init__(self, session: aiohttp.ClientSession, url: str, credential: str) -> None:
        self._session = session
        self._url = url
        self._credential = credential
        self._headers = {"Authorization": f"Bearer {credential}"}

    async def download_model(self, round_: int, length: int) -> NDArray[np.float32]:
        """The global model of `round_` as `length` little-endian float32."""
        return (await self._downloaded(round_, length, {}, _no_tail))[0]

    async def download_surviving(
        self, round_: int, named: PatternName, holds: tuple[str, int]
    ) -> tuple[NDArray[np.float32], bytes]:
        """The values under a pattern, and what is sent of the pattern to a client that `holds` the
        one of that name; at most so many bytes."""
        held, most = holds

        def tail(response: aiohttp.ClientResponse) -> int:
            if response.headers.get(pattern.HEADER, "") != named.text:
                raise TransferFailed("model: under another pattern than the plan's")
            told = response.headers.get(pattern.BYTES_HEADER, "")
            if not (told.isascii() and told.isdecimal() and len(told) < 10 and int(told) <= most):
                raise TransferFailed("model: no length of a pattern")
            return int(told)

        return await self._downloaded(
            round_, named.surviving, {pattern.HELD_HEADER: held} if held else {}, tail
        )

    async def _downloaded(
        self, round_: int, length: int, asked: Mapping[str, str], tail: "Tail"
    ) -> tuple[NDArray[np.float32], bytes]:
        """So many values, and the bytes behind them."""
        url = f"{self._url}/v1/model/{round_}"
        headers = {**self._headers, **asked}
        try:
            async with self._session.get(
                url, headers=headers, read_bufsize=READ_BYTES, auto_decompress=False
            ) as response:
                await accepted(response)
                size = 4 * length + tail(response)
                if response.content_length != size:
                    raise TransferFailed(f"model: {response.content_length} bytes, not {size}")
                if "Content-Encoding" in response.headers:
                    raise TransferFailed("model: encoded")
                body = np.empty(size, np.uint8)
                await _received(response, _Vector(memoryview(body.data)))
        except (aiohttp.ClientError, OSError) as error:
            raise TransferFailed(f"download broke off: {type(error).__name__}") from error
        vector = body[: 4 * length].view("<f4").astype(np.float32, copy=False)
        return vector, body[4 * length :].tobytes()

    async def upload(
        self,
        round_: int,
        attempt: int,
        pieces: Iterable[memoryview],
        total_bytes: int,
        under: str = "",
    ) -> None:
        """Stream the vector's bytes, whose values are `under` the pattern of that name; returns
        once the coordinator has all of them, checked."""
        url = f"{self._url}/v1/vector/{round_}/{attempt}"
        headers = {
            **self._headers,
            "Content-Length": str(total_bytes + CHECKSUM_BYTES),
            "Content-Type": "application/octet-stream",
            **({pattern.HEADER: under} if under else {}),
        }
        try:
            checksum = UploadChecksum(self._credential, (round_, attempt))
            body = _with_checksum(pieces, checksum)
            async with self._session.put(url, data=body, headers=headers) as response:
                await accepted(response)
        except (aiohttp.ClientError, OSError) as error:
            raise TransferFailed(f"upload broke off: {type(error).__name__}") from error


Tail = Callable[[aiohttp.ClientResponse], int]
"""How many bytes follow a model's values. Raises TransferFailed."""


def _no_tail(response: aiohttp.ClientResponse) -> int:
    return 0


@dataclass(slots=True)
class _Vector:
    """What of a vector is still to be filled."""

    left: memoryview

    def room(self) -> memoryview:
        return self.left

    def filled(self, size: int) -> None:
        self.left = self.left[size:]


async def _received(response: aiohttp.ClientResponse, place: _Vector) -> None:
    """The body into its place: first what is read already, then the rest as it comes."""
    content = response.content
    while piece := content.read_nowait():
        place.left[: len(piece)] = piece
        place.filled(len(piece))
    connection = response.connection
    if not place.left:
        return
    if connection is None or connection.transport is None:
        raise ConnectionResetError("the connection is gone")
    await Inflow(connection.transport, place, len(place.left), content.feed_eof).whole()


async def _with_checksum(
    pieces: Iterable[memoryview], checksum: UploadChecksum
) -> AsyncIterator[bytes | memoryview]:
    for piece in pieces:
        checksum.update(piece)
        yield piece
    yield checksum.digest()


async def accepted(response: aiohttp.ClientResponse) -> None:
    """Raises TransferFailed with the coordinator's reason if it refused."""
    if response.status >= 300:
        reason = (await response.text())[:200]
        raise TransferFailed(f"the coordinator answered {response.status}: {reason}")
