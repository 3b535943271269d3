"""The coordinator's HTTP face: one control WebSocket a worker, streamed bodies for the rest.

Sizes, types, rounds and identities are checked before anything is allocated.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

from aiohttp import WSMsgType, web

from coordinator.engine import Coordinator
from coordinator.intake import MAX_BATCH_BYTES
from coordinator.registry import Client
from coordinator.round import Round
from coordinator.status import Transfer
from coordinator.uploads import UploadRejected
from protocol import codec, pattern, phantom
from protocol.errors import ProtocolError
from protocol.sizes import MAX_MESSAGE_BYTES

PIECE_BYTES = 2**16
"""Of a download. What the kernel does not take of one is held for each connection: with 200 of them
the coordinator's memory would show larger pieces."""


def build_app(coordinator: Coordinator) -> web.Application:
    face = _Face(coordinator)
    app = web.Application(client_max_size=MAX_BATCH_BYTES)
    app.router.add_get("/v1/control", face.control)
    app.router.add_get("/v1/model/{round}", face.model)
    app.router.add_put("/v1/vector/{round}/{attempt}", face.vector)
    app.router.add_post("/v1/telemetry", face.telemetry)
    return app


class _Face:
    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator

    async def control(self, request: web.Request) -> web.WebSocketResponse:
        coordinator = self._coordinator
        socket = web.WebSocketResponse(
            heartbeat=coordinator.limits.heartbeat_s, max_msg_size=MAX_MESSAGE_BYTES
        )
        await socket.prepare(request)
        admitted = await coordinator.admission.admit(socket, coordinator.registry)
        if admitted is None:
            await socket.close()
            return socket
        client, back = admitted
        await coordinator.connected(client, socket, back)
        reason = "its connection is gone"
        try:
            async for frame in socket:
                if frame.type is not WSMsgType.BINARY:
                    raise ProtocolError("a frame that is no message, or one that is too big")
                coordinator.deliver(client, codec.decode(frame.data))
        except ProtocolError as error:
            reason = f"sent garbage: {error}"
        finally:
            coordinator.disconnected(client, socket, reason)
            await socket.close()
        return socket

    async def model(self, request: web.Request) -> web.StreamResponse:
        client = self._authenticated(request)
        played = self._coordinator.current_round
        if played is None or _number(request, "round") != played.place[0]:
            raise web.HTTPConflict(text="that round is not being played")
        if client.id not in played.portions:
            raise web.HTTPConflict(text="that round is played without this client")
        if self._coordinator.hollow:
            return await _hollow(request, 4 * played.portions[client.id].size)
        held = request.headers.get(pattern.HELD_HEADER, "")
        body, told = await asyncio.to_thread(_download, played, client.id, held)
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream", **told})
        response.content_length = size = sum(map(len, body))
        await response.prepare(request)
        progress = Transfer(0, size)
        self._coordinator.status.downloads[client.id] = progress
        stall_s = self._coordinator.limits.stall_s
        if request.transport is not None:
            request.transport.set_write_buffer_limits(high=0)  # the kernel's are enough
        try:
            writing = _write_all(response, body, progress)
            await written_out(writing, partial(_unsent, request.transport, progress), stall_s)
            await response.write_eof()
        except TimeoutError:
            played.lose(client.id, f"download: no byte for {stall_s:g} s")
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            played.lose(client.id, "download: the connection broke")
        finally:
            self._coordinator.status.downloads.pop(client.id, None)
        return response

    async def vector(self, request: web.Request) -> web.Response:
        client = self._authenticated(request)
        played = self._coordinator.current_round
        place = (_number(request, "round"), _number(request, "attempt"))
        if played is None or place != played.place:
            raise web.HTTPConflict(text="that round is not being played")
        try:
            await played.accept_vector(client.id, request)
        except UploadRejected as rejection:
            raise web.HTTPBadRequest(text=str(rejection)) from rejection
        except ProtocolError as error:
            raise web.HTTPConflict(text=str(error)) from error
        return web.Response()

    async def telemetry(self, request: web.Request) -> web.Response:
        client = self._authenticated(request)
        now_s = self._coordinator.tracer.now()
        try:
            self._coordinator.told(client, await request.read(), now_s)
        except ProtocolError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        return web.Response()

    def _authenticated(self, request: web.Request) -> Client:
        scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
        client = self._coordinator.registry.authenticate(credential)
        if scheme != "Bearer" or client is None:
            raise web.HTTPUnauthorized(text="unknown credential")
        return client


Pieces = Sequence[memoryview]
"""Of a body: one behind the other."""


def _download(played: Round, client: int, held: str) -> tuple[Pieces, Mapping[str, str]]:
    """The values, then the pattern that they are under; and what the headers say of it. However
    many download at a time, there is one of each."""
    portion = played.portions[client]
    values = memoryview(portion.vector.astype("<f4", copy=False).data).cast("B")
    if not played.pattern:
        return (values,), {}
    tail = portion.tail(held)
    told = {pattern.HEADER: played.pattern.text, pattern.BYTES_HEADER: str(len(tail))}
    return (values, memoryview(tail)), told


async def _hollow(request: web.Request, size: int) -> web.StreamResponse:
    """A body of which only the length exists. It waits on the link, not here, so that whoever
    waits for it notices if it does not move."""
    told = {phantom.LENGTH_HEADER: str(size - phantom.TAIL_BYTES)}
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream", **told})
    response.content_length = phantom.TAIL_BYTES
    await response.prepare(request)
    phantom.send(request.transport, size - phantom.TAIL_BYTES)
    await response.write(bytes(phantom.TAIL_BYTES))
    await response.write_eof()
    return response


async def _write_all(response: web.StreamResponse, body: Pieces, progress: Transfer) -> None:
    for part in body:
        for start in range(0, len(part), PIECE_BYTES):
            piece = part[start : start + PIECE_BYTES]
            await response.write(piece)
            progress.done_bytes += len(piece)


def _unsent(transport: asyncio.WriteTransport | None, progress: Transfer) -> int:
    held = 0 if transport is None else transport.get_write_buffer_size()
    return progress.total_bytes - progress.done_bytes + held


async def written_out(
    writing: Coroutine[Any, Any, object], unsent: Callable[[], int], stall_s: float
) -> None:
    """Wait until a body is out, or nearly; TimeoutError if for `stall_s` nothing moved at all.

    However slow the link: what is left of the body is looked at, not how long all of it takes."""
    task = asyncio.ensure_future(writing)
    try:
        await asyncio.sleep(0)  # the first piece is in the transport's buffer from here on
        left = unsent()
        while not (await asyncio.wait({task}, timeout=stall_s))[0]:
            if (now := unsent()) >= left:
                raise TimeoutError
            left = now
        task.result()
    finally:
        task.cancel()


def _number(request: web.Request, name: str) -> int:
    text = request.match_info[name]
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise web.HTTPBadRequest(text=f"{name}: not a number")
    return int(text)
