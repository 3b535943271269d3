"""Receiving a masked vector: spooled, checked, and only then part of a sum.

A half-arrived vector cannot be taken out of a sum again, so nothing is added before length and
checksum agree.
"""

import asyncio
import mmap
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import IO, Protocol

import aiohttp
from aiohttp import web
from aiohttp.http import HttpRequestParser

from coordinator.status import Transfer
from protocol import phantom
from protocol.checksum import UploadChecksum
from protocol.sizes import CHECKSUM_BYTES
from wire.inflow import RECEIVE_BYTES, Inflow, Place

READ_BYTES = 2**18
"""What asyncio reads at a time: with a smaller buffer aiohttp would stop and go at each."""
_PASSAGE = memoryview(bytearray(RECEIVE_BYTES))
"""What a file takes goes through here."""


class UploadRejected(Exception):
    """The body is not a whole vector (too long, too short, altered, or it stopped moving), or
    there is no room for it."""


class Spool(Protocol):
    """Where one vector and its checksum wait until they are whole, filled from the beginning."""

    def room(self) -> memoryview: ...

    def filled(self, size: int) -> None: ...

    def whole(self) -> AbstractContextManager[memoryview]:
        """To read it. One at a time: what of a file is read counts as the process's memory."""


class _InMemory:
    def __init__(self, buffer: bytearray) -> None:
        self.buffer = buffer
        self._at = 0

    def room(self) -> memoryview:
        return memoryview(self.buffer)[self._at :]

    def filled(self, size: int) -> None:
        self._at += size

    @contextmanager
    def whole(self) -> Iterator[memoryview]:
        with memoryview(self.buffer) as view:
            yield view


class _InFile:
    """Mapped to be read only."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._at = 0

    def room(self) -> memoryview:
        """All files' alike: what is received is written before anything else is."""
        return _PASSAGE

    def filled(self, size: int) -> None:
        piece = _PASSAGE[:size]
        while piece:
            written = os.pwrite(self._descriptor, piece, self._at)
            self._at, piece = self._at + written, piece[written:]

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
        self._size = vector_bytes + CHECKSUM_BYTES
        self._unused = memory_bytes // self._size
        self._spare: list[bytearray] = []

    @contextmanager
    def place(self) -> Iterator[Spool]:
        """Room for one vector, with anything in it. UploadRejected if there is none."""
        if self._unused or self._spare:
            if not self._spare:
                self._unused -= 1
                self._spare.append(bytearray(self._size))
            buffer = self._spare.pop()
            try:
                yield _InMemory(buffer)
            finally:
                self._spare.append(buffer)
        else:
            with _reserved(self._size) as file:
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
    hollow: bool = False
    """Whether the vector is a phantom."""

    def check_length(self) -> None:
        """Before anything is stored."""
        expected = CHECKSUM_BYTES + (0 if self.hollow else self.progress.total_bytes)
        if self.request.content_length != expected:
            raise UploadRejected(f"declares {self.request.content_length} bytes, not {expected}")
        if "Content-Encoding" in self.request.headers:  # could grow beyond its length
            raise UploadRejected("is encoded")

    async def receive_hollow(self) -> None:
        """A body of which only the length and the checksum of nothing exist."""
        if not self.checksum.matches(await self._tail()):
            raise UploadRejected("the checksum does not match the vector")
        self.progress.done_bytes = self.progress.total_bytes

    async def _tail(self) -> bytes:
        """However slow the link: what has arrived is looked at, not how long it takes."""
        told = self.request.headers.get(phantom.LENGTH_HEADER)
        if told != str(self.progress.total_bytes):
            raise UploadRejected(f"a phantom of {told} bytes, not {self.progress.total_bytes}")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as limit:
                watch = _Watch(loop, limit, self._arrived, self.stall_s)
                try:
                    return await self.request.read()
                finally:
                    watch.end()
        except TimeoutError as error:
            raise UploadRejected(f"no byte for {self.stall_s:g} s") from error
        except (aiohttp.ClientError, aiohttp.http_exceptions.HttpProcessingError, OSError) as error:
            raise UploadRejected("the connection broke") from error

    def _arrived(self) -> int:
        return phantom.received_bytes(self.request.transport)

    async def receive(self, spool: Spool) -> None:
        """As many bytes as are declared. UploadRejected if they do not come, or are no vector and
        its checksum."""
        self.progress.done_bytes = 0
        place = _Checked(spool, self.checksum, self.progress)
        try:
            left = self.progress.total_bytes + CHECKSUM_BYTES - self._take_read(place)
            transport = self.request.transport
            if transport is None:
                raise ConnectionResetError("the connection is gone")
            if left:
                await Inflow(transport, place, left, self._resume).whole(self.stall_s)
        except TimeoutError as error:
            raise UploadRejected(f"no byte for {self.stall_s:g} s") from error
        except (aiohttp.ClientError, aiohttp.http_exceptions.HttpProcessingError, OSError) as error:
            raise UploadRejected("the connection broke") from error
        if not self.checksum.matches(bytes(place.digest)):
            raise UploadRejected("the checksum does not match the vector")

    def _take_read(self, place: Place) -> int:
        """What the server has read of the body already; how much that is."""
        taken = 0
        while piece := self.request.content.read_nowait():
            view = memoryview(piece)
            while view:
                room = place.room()
                size = min(len(room), len(view))
                room[:size] = view[:size]
                place.filled(size)
                view = view[size:]
            taken += len(piece)
        return taken

    def _resume(self) -> None:
        """The server goes on behind the body, of which its parser has not seen the end.

        `_parser` is private to aiohttp; tests/coordinator fail clearly should it change."""
        protocol = self.request.protocol
        protocol._parser = HttpRequestParser(
            protocol,
            asyncio.get_running_loop(),
            READ_BYTES,
            max_line_size=protocol.max_line_size,
            max_field_size=protocol.max_field_size,
            max_headers=protocol.max_headers,
            payload_exception=web.RequestPayloadError,
            auto_decompress=False,
        )
        self.request.content.feed_eof()


class _Watch:
    """Ends what a timeout is around as soon as nothing has arrived for so long."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limit: asyncio.Timeout,
        arrived: Callable[[], int],
        stall_s: float,
    ) -> None:
        self._loop, self._limit, self._arrived, self._stall_s = loop, limit, arrived, stall_s
        self._look()

    def end(self) -> None:
        self._handle.cancel()

    def _look(self) -> None:
        self._before = self._arrived()
        self._handle = self._loop.call_later(self._stall_s, self._again)

    def _again(self) -> None:
        if self._arrived() == self._before:
            self._limit.reschedule(self._loop.time())
        else:
            self._look()


@dataclass(slots=True)
class _Checked:
    """A place whose bytes are taken into the checksum as they come, while they are in the
    processor's cache: at several GB/s that holds up the event loop for less than their receipt."""

    place: Place
    checksum: UploadChecksum
    progress: Transfer
    digest: bytearray = field(default_factory=bytearray)
    """What comes behind the vector."""

    def room(self) -> memoryview:
        return self.place.room()

    def filled(self, size: int) -> None:
        progress = self.progress
        vector = min(size, progress.total_bytes - progress.done_bytes)
        with self.place.room()[:size] as piece:
            self.checksum.update(piece[:vector])
            self.digest += piece[vector:]
        self.place.filled(size)
        progress.done_bytes += vector
