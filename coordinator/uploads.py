"""Receiving a masked vector: spooled to disk, checked, and only then part of a sum.

A half-arrived vector cannot be taken out of a sum again, so nothing is added before length and
digest agree.
"""

import asyncio
import hashlib
import tempfile
from typing import IO

import aiohttp
from aiohttp import web

from coordinator.status import Transfer
from protocol.sizes import DIGEST_BYTES


class UploadRejected(Exception):
    """The body is not a whole vector (too long, too short, altered, or it stopped moving), or
    there is no room for it."""


async def spool(
    request: web.Request, vector_bytes: int, stall_s: float, progress: Transfer
) -> IO[bytes]:
    """The vector's bytes in a file of its own, gone once closed; the caller closes it.

    Raises UploadRejected; if the declared length is not that of a vector and its digest, before
    anything is stored.
    """
    if request.content_length != vector_bytes + DIGEST_BYTES:
        raise UploadRejected(
            f"declares {request.content_length} bytes, not {vector_bytes + DIGEST_BYTES}"
        )
    file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  the caller's to close
    try:
        digest, tail = await _copy(request, file, vector_bytes, stall_s, progress)
        if digest != tail:
            raise UploadRejected("the digest does not match the vector")
        file.flush()
    except OSError as error:
        file.close()
        raise UploadRejected(f"cannot be stored here: {error.strerror}") from error
    except BaseException:
        file.close()
        raise
    return file


async def _copy(
    request: web.Request, file: IO[bytes], vector_bytes: int, stall_s: float, progress: Transfer
) -> tuple[bytes, bytes]:
    """Copy the vector; return the digest computed and the digest sent."""
    digest, tail = hashlib.sha256(), b""
    progress.done_bytes, progress.total_bytes = 0, vector_bytes
    while True:
        piece = await _next_piece(request, stall_s)
        if not piece:
            break
        vector_part = piece[: vector_bytes - progress.done_bytes]
        digest.update(vector_part)
        file.write(vector_part)
        progress.done_bytes += len(vector_part)
        tail += piece[len(vector_part) :]
        if len(tail) > DIGEST_BYTES:  # possible where the declared length was of a compressed body
            raise UploadRejected("holds more bytes than it declares")
    if progress.done_bytes < vector_bytes:
        raise UploadRejected(f"ended after {progress.done_bytes} of {vector_bytes} bytes")
    return digest.digest(), tail


async def _next_piece(request: web.Request, stall_s: float) -> bytes:
    try:
        async with asyncio.timeout(stall_s):
            return await request.content.readany()
    except TimeoutError as error:
        raise UploadRejected(f"no byte for {stall_s:g} s") from error
    except (aiohttp.ClientError, aiohttp.http_exceptions.HttpProcessingError, OSError) as error:
        raise UploadRejected("the connection broke") from error
