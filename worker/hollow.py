"""Bulk transfers of runs in which no vector is computed: bodies have their lengths, and no content.

The model that is downloaded never changes and is zero; all workers of a process share it.
"""

from collections.abc import Iterable
from functools import lru_cache

import aiohttp
import numpy as np
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload
from numpy.typing import NDArray

from protocol import phantom
from protocol.checksum import UploadChecksum
from protocol.sizes import CHECKSUM_BYTES
from worker.transfer import TransferFailed, Transfers, accepted


class HollowTransfers(Transfers):
    """As `Transfers` to whoever pays for the bytes."""

    hollow = True

    async def download_model(self, round_: int, length: int) -> NDArray[np.float32]:
        url, size = f"{self._url}/v1/model/{round_}", 4 * length
        try:
            async with self._session.get(url, headers=self._headers) as response:
                await accepted(response)
                told = response.headers.get(phantom.LENGTH_HEADER)
                if told != str(size - phantom.TAIL_BYTES):
                    raise TransferFailed(f"model: a phantom of {told} bytes, not of {size}")
                await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise TransferFailed(f"download broke off: {type(error).__name__}") from error
        return no_model(length)

    async def upload(
        self,
        round_: int,
        attempt: int,
        pieces: Iterable[memoryview],
        total_bytes: int,
        under: str = "",
    ) -> None:
        """`pieces` are not asked for; hollow runs know no patterns."""
        headers = {
            **self._headers,
            "Content-Length": str(CHECKSUM_BYTES),
            "Content-Type": "application/octet-stream",
            phantom.LENGTH_HEADER: str(total_bytes),
        }
        url = f"{self._url}/v1/vector/{round_}/{attempt}"
        tail = UploadChecksum(self._credential, (round_, attempt)).digest()
        try:
            body = _HollowBody(total_bytes, tail)
            async with self._session.put(url, data=body, headers=headers) as response:
                await accepted(response)
        except (aiohttp.ClientError, OSError) as error:
            raise TransferFailed(f"upload broke off: {type(error).__name__}") from error


@lru_cache(maxsize=8)
def no_model(length: int) -> NDArray[np.float32]:
    """Zeros, one copy for everybody."""
    vector = np.zeros(length, dtype=np.float32)
    vector.flags.writeable = False
    return vector


class _HollowBody(Payload):
    """A phantom and the few real bytes after it."""

    _autoclose = True

    def __init__(self, hollow_bytes: int, tail: bytes) -> None:
        super().__init__(tail)
        self._hollow_bytes, self._tail = hollow_bytes, tail
        self._size = len(tail)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._tail.hex()

    async def write(self, writer: AbstractStreamWriter) -> None:
        await self.write_with_length(writer, None)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        writer.send_headers()
        phantom.send(getattr(writer, "transport", None), self._hollow_bytes)
        await writer.write(self._tail)
