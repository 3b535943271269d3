"""Receiving a masked vector: spooled, checked, and only then part of a sum.

A half-arrived vector cannot be taken out of a sum again, so nothing is added before length and
checksum agree.
"""

import asyncio
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import aiohttp
from aiohttp import web

from coordinator.status import Transfer
from protocol.checksum import UploadChecksum
from protocol.sizes import CHECKSUM_BYTES

READ_BYTES = 2**18
"""What asyncio reads at a time: with a smaller buffer aiohttp would stop and go at each."""


class UploadRejected(Exception):
    """The body is not a whole vector (too long, too short, altered, or it stopped moving), or
    there is no room for it."""


class SpoolRoom:
    """Where vectors of one size wait until they are whole: the first few that are under way at the
    same time in memory, which is used again and again, the others each in a file of its own."""

    def __init__(self, vector_bytes: int, memory_bytes: int) -> None:
        self.vector_bytes = vector_bytes
        self._unused = memory_bytes // vector_bytes
        self._spare: list[bytearray] = []

    @contextmanager
    def place(self) -> Iterator[memoryview]:
        """Room for one vector, with anything in it. UploadRejected if there is none."""
        if self._unused or self._spare:
            with self._in_memory() as view:
                yield view
        else:
            with self._in_file() as view:
                yield view

    @contextmanager
    def _in_memory(self) -> Iterator[memoryview]:
        if self._spare:
            buffer = self._spare.pop()
        else:
            self._unused -= 1
            buffer = bytearray(self.vector_bytes)
        try:
            with memoryview(buffer) as view:
                yield view
        finally:
            self._spare.append(buffer)

    @contextmanager
    def _in_file(self) -> Iterator[memoryview]:
        with (
            _reserved(self.vector_bytes) as file,
            mmap.mmap(file.fileno(), self.vector_bytes) as mapped,
            memoryview(mapped) as view,
        ):
            yield view


def _reserved(size: int) -> IO[bytes]:
    """A file of that size: a full disk is an error here, and not a signal at some later byte."""
    try:
        file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  the caller's to close
    except OSError as error:
        raise UploadRejected(f"cannot be stored here: {error.strerror}") from error
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        file.close()
        raise UploadRejected(f"cannot be stored here: {error.strerror}") from error
    return file


@dataclass(slots=True)
class Upload:
    """One body under way."""

    request: web.Request
    checksum: UploadChecksum
    progress: Transfer
    stall_s: float

    def check_length(self) -> None:
        """Before anything is stored."""
        expected = self.progress.total_bytes + CHECKSUM_BYTES
        if self.request.content_length != expected:
            raise UploadRejected(f"declares {self.request.content_length} bytes, not {expected}")

    async def receive(self, view: memoryview) -> None:
        """Fill `view` with the vector. Raises UploadRejected unless that and nothing else came."""
        tail = await self._copy(view)
        if not self.checksum.matches(tail):
            raise UploadRejected("the checksum does not match the vector")

    async def _copy(self, view: memoryview) -> bytes:
        """Returns what follows the vector."""
        progress, tail = self.progress, b""
        progress.done_bytes = 0
        while piece := await self._next_piece():
            vector_part = memoryview(piece)[: len(view) - progress.done_bytes]
            self.checksum.update(vector_part)
            view[progress.done_bytes : progress.done_bytes + len(vector_part)] = vector_part
            progress.done_bytes += len(vector_part)
            tail += piece[len(vector_part) :]
            if len(tail) > CHECKSUM_BYTES:  # possible where the body was compressed
                raise UploadRejected("holds more bytes than it declares")
        if progress.done_bytes < len(view):
            raise UploadRejected(f"ended after {progress.done_bytes} of {len(view)} bytes")
        return tail

    async def _next_piece(self) -> bytes:
        try:
            async with asyncio.timeout(self.stall_s):
                return await self.request.content.readany()
        except TimeoutError as error:
            raise UploadRejected(f"no byte for {self.stall_s:g} s") from error
        except (aiohttp.ClientError, aiohttp.http_exceptions.HttpProcessingError, OSError) as error:
            raise UploadRejected("the connection broke") from error
