"""Receiving a masked vector: spooled, checked, and only then part of a sum.

A half-arrived vector cannot be taken out of a sum again, so nothing is added before length and
checksum agree.
"""

import asyncio
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import IO, Protocol

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


class Spool(Protocol):
    """Where one vector waits until it is whole."""

    def put(self, at: int, piece: memoryview) -> None: ...

    def whole(self) -> AbstractContextManager[memoryview]:
        """To read it."""


class _InMemory:
    def __init__(self, buffer: bytearray) -> None:
        self.buffer = buffer

    def put(self, at: int, piece: memoryview) -> None:
        self.buffer[at : at + len(piece)] = piece

    @contextmanager
    def whole(self) -> Iterator[memoryview]:
        with memoryview(self.buffer) as view:
            yield view


class _InFile:
    """Mapped to be read only: what is mapped counts as the process's memory."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def put(self, at: int, piece: memoryview) -> None:
        while piece:
            written = os.pwrite(self._descriptor, piece, at)
            at, piece = at + written, piece[written:]

    @contextmanager
    def whole(self) -> Iterator[memoryview]:
        with (
            mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ) as mapped,
            memoryview(mapped) as view,
        ):
            yield view


class SpoolRoom:
    """Where vectors of one size wait until they are whole: the first few that are under way at the
    same time in memory, which is used again and again, the others each in a file of its own."""

    def __init__(self, vector_bytes: int, memory_bytes: int) -> None:
        self.vector_bytes = vector_bytes
        self._unused = memory_bytes // vector_bytes
        self._spare: list[bytearray] = []

    @contextmanager
    def place(self) -> Iterator[Spool]:
        """Room for one vector, with anything in it. UploadRejected if there is none."""
        if self._unused or self._spare:
            if not self._spare:
                self._unused -= 1
                self._spare.append(bytearray(self.vector_bytes))
            buffer = self._spare.pop()
            try:
                yield _InMemory(buffer)
            finally:
                self._spare.append(buffer)
        else:
            with _reserved(self.vector_bytes) as file:
                yield _InFile(file.fileno())


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

    async def receive(self, spool: Spool) -> None:
        """Raises UploadRejected unless a vector came and nothing else."""
        tail = await self._copy(spool)
        if not self.checksum.matches(tail):
            raise UploadRejected("the checksum does not match the vector")

    async def _copy(self, spool: Spool) -> bytes:
        """Returns what follows the vector."""
        progress, tail = self.progress, b""
        size = progress.total_bytes
        progress.done_bytes = 0
        while piece := await self._next_piece():
            vector_part = memoryview(piece)[: size - progress.done_bytes]
            self.checksum.update(vector_part)
            spool.put(progress.done_bytes, vector_part)
            progress.done_bytes += len(vector_part)
            tail += piece[len(vector_part) :]
            if len(tail) > CHECKSUM_BYTES:  # possible where the body was compressed
                raise UploadRejected("holds more bytes than it declares")
        if progress.done_bytes < size:
            raise UploadRejected(f"ended after {progress.done_bytes} of {size} bytes")
        return tail

    async def _next_piece(self) -> bytes:
        try:
            async with asyncio.timeout(self.stall_s):
                return await self.request.content.readany()
        except TimeoutError as error:
            raise UploadRejected(f"no byte for {self.stall_s:g} s") from error
        except (aiohttp.ClientError, aiohttp.http_exceptions.HttpProcessingError, OSError) as error:
            raise UploadRejected("the connection broke") from error
