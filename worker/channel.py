"""The control channel: one WebSocket to the coordinator, typed messages in and out.

Joining proves possession of the identity key, so that a worker whose connection broke comes back
as the same client and nobody else can.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import aiohttp

from protocol import codec
from protocol.errors import ProtocolError
from protocol.identity import Identity
from protocol.messages import (
    VERSION,
    Challenge,
    Finish,
    Hello,
    Message,
    Plan,
    Refused,
    RoundEnd,
    Welcome,
)
from protocol.sizes import MAX_MESSAGE_BYTES

M = TypeVar("M", bound=Message)
T = TypeVar("T")
CONTROL_PATH = "/v1/control"
PATIENCE_S = 60.0
"""For a connection, a handshake, and between pings: a coordinator that has lost its power is not
waited for. While it plays a round without this client, it still answers pings."""


class ChannelLost(Exception):
    """The coordinator went away, or the connection broke."""


class LeftBehind(Exception):
    """The round went on without this client; `message` is what came instead."""

    def __init__(self, message: Plan | RoundEnd) -> None:
        super().__init__(f"round {message.round} goes on without this client")
        self.message = message


class JoinRefused(Exception):
    """The coordinator does not want this worker, and says why."""


class RunFinished(Exception):
    """The coordinator said that the run is over."""


@dataclass(frozen=True, slots=True)
class Joined:
    session: bytes = field(repr=False)
    welcome: Welcome


class Channel:
    """Reads in the background, so that pings are answered while the worker trains."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._arrived: asyncio.Queue[Message | Exception] = asyncio.Queue()
        self._cutting: asyncio.Timeout | None = None
        """What cuts off the work during which no message is due."""
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, session: aiohttp.ClientSession, url: str) -> "Channel":
        try:
            async with asyncio.timeout(PATIENCE_S):
                socket = await session.ws_connect(
                    url + CONTROL_PATH, max_msg_size=MAX_MESSAGE_BYTES, heartbeat=PATIENCE_S
                )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ChannelLost(f"cannot reach the coordinator at {url}: {_plain(error)}") from error
        if declare := socket.get_extra_info("speaks_unasked"):  # to a link that times answers
            declare()
        return cls(socket)

    async def join(self, token: str, device: str, identity: Identity, member: int | None) -> Joined:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self.send(Hello(VERSION, token, device, identity.public, member))
                challenge = await self.expect(Challenge)
                await self.send(identity.prove(challenge))
                return Joined(challenge.session, await self.expect(Welcome))
        except TimeoutError as error:
            raise ChannelLost("the coordinator does not finish the handshake") from error

    async def send(self, message: Message) -> None:
        try:
            await self._socket.send_bytes(codec.encode(message))
        except (aiohttp.ClientError, OSError) as error:
            raise ChannelLost(_plain(error)) from error

    async def receive(self) -> Message:
        """The next message; raises on anything that ends the conversation."""
        message = await self._arrived.get()
        if isinstance(message, Exception):
            self._put(message)  # it stays ended
            raise message
        if isinstance(message, Refused):
            raise JoinRefused(message.reason)
        if isinstance(message, Finish):
            raise RunFinished(message.reason)
        return message

    async def expect(self, kind: type[M]) -> M:
        """The next message, which must be of `kind`; the next round's plan or this one's end
        instead of it means that the round goes on without this client."""
        message = await self.receive()
        if isinstance(message, kind):
            return message
        raise _instead(message, kind.__name__)

    async def unless_overtaken(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of work during which no message is due. One that comes all the same means
        that the round, the run or the connection is over: the work is cut off, and this raises
        as `expect` does."""
        try:
            async with asyncio.timeout(None) as limit:
                self._cutting = limit
                self._cut_off()
                return await work
        except TimeoutError:  # of this limit, or of the work's own
            if not limit.expired():
                raise
        finally:
            self._cutting = None
        raise _instead(await self.receive(), "nothing")

    async def close(self) -> None:
        await self._socket.close()
        await self._reader

    def _put(self, arrived: Message | Exception) -> None:
        self._arrived.put_nowait(arrived)
        self._cut_off()

    def _cut_off(self) -> None:
        limit = self._cutting
        if limit is not None and not self._arrived.empty() and not limit.expired():
            limit.reschedule(asyncio.get_running_loop().time())

    async def _read(self) -> None:
        async for frame in self._socket:
            try:
                if frame.type is not aiohttp.WSMsgType.BINARY:
                    raise ProtocolError("the coordinator sent something that is not a message")
                self._put(codec.decode(frame.data))
            except ProtocolError as error:
                self._put(error)
                return
        code = self._socket.close_code
        self._put(ChannelLost(f"the coordinator closed the channel (code {code})"))


def _instead(message: Message, due: str) -> Exception:
    if isinstance(message, Plan | RoundEnd):
        return LeftBehind(message)
    return ProtocolError(f"expected {due}, got {type(message).__name__}")


def _plain(error: BaseException) -> str:
    return str(error) or type(error).__name__
